"""Which optimizers are built in: alone, so that the help of a command line knows them and loads nothing else."""

from __future__ import annotations

AUTO = "auto"
BUILT_IN = {
    AUTO: "mr_ml.optimize.choose:auto",
    "lbfgs": "mr_ml.optimize.lbfgs:lbfgs",
    "lbfgs-sampled": "mr_ml.optimize.sampled_lbfgs:lbfgs_sampled",
    "newton": "mr_ml.optimize.newton:newton",
    "proximal-lbfgs": "mr_ml.optimize.proximal_lbfgs:proximal_lbfgs",
    "proximal-lbfgs-sampled": "mr_ml.optimize.proximal_sampled:proximal_lbfgs_sampled",
    "proximal-newton": "mr_ml.optimize.proximal_newton:proximal_newton",
}
