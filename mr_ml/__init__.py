"""Batch training of linear models as sums over rows: MapReduce passes, a driver loop, the same bits on every runner.

The Python API, which does what the commands of the same names do:

>>> import mr_ml
>>> root = mr_ml.open_root("data")
>>> dataset = mr_ml.pack(root, "iris.csv", "iris", split={"train": 0.8, "test": 0.2}, seed=7)
>>> result = mr_ml.train(root, "iris", "iris-softmax", loss="softmax", l2=1e-4)
>>> mr_ml.evaluate(root, "iris-softmax", "iris")["accuracy"]
>>> mr_ml.predict(root, "iris-softmax", "new_rows.csv", "predictions.tsv")
>>> mr_ml.load("iris-softmax", root=root).predict_proba(frame)

What cannot be done raises a `MrMlError`, whose message says what to do; see `mr_ml.errors`. Nothing is loaded before it
is used: tasks import this package too.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hdfs_layout import Root as Root
    from hdfs_layout import open_root as open_root
    from mr_ml.api import load_dataset as load_dataset
    from mr_ml.api import load_model as load_model
    from mr_ml.api import pack as pack
    from mr_ml.api import predict as predict
    from mr_ml.api import resume as resume
    from mr_ml.api import train as train
    from mr_ml.api_measuring import compare as compare
    from mr_ml.api_measuring import evaluate as evaluate
    from mr_ml.api_measuring import evaluate_several as evaluate_several
    from mr_ml.api_measuring import infer as infer
    from mr_ml.catalog.dataset import Dataset as Dataset
    from mr_ml.catalog.promoting import promote as promote
    from mr_ml.catalog.promoting import rollback as rollback
    from mr_ml.catalog.promotions import Promotion as Promotion
    from mr_ml.dataset_ref import DatasetRef as DatasetRef
    from mr_ml.errors import MrMlError as MrMlError
    from mr_ml.exports.api import ExportResult as ExportResult
    from mr_ml.exports.api import export as export
    from mr_ml.loaded import LoadedModel as LoadedModel
    from mr_ml.loaded import load as load
    from mr_ml.models.base import Model as Model
    from mr_ml.models.inference import Inference as Inference
    from mr_ml.packing.arrays import pack_arrays as pack_arrays
    from mr_ml.progress_lines import show_progress as show_progress
    from mr_ml.reports.api import report as report
    from mr_ml.retraining.api import retrain as retrain
    from mr_ml.training.train import TrainResult as TrainResult
    from mr_ml.tuning.api import resume_tuning as resume_tuning
    from mr_ml.tuning.api import tune as tune
    from mr_ml.tuning.driver import TuneResult as TuneResult

# Name -> the module that has it.
_PLACES = {
    "Dataset": "mr_ml.catalog.dataset",
    "DatasetRef": "mr_ml.dataset_ref",
    "ExportResult": "mr_ml.exports.api",
    "Inference": "mr_ml.models.inference",
    "LoadedModel": "mr_ml.loaded",
    "Model": "mr_ml.models.base",
    "MrMlError": "mr_ml.errors",
    "Promotion": "mr_ml.catalog.promotions",
    "Root": "hdfs_layout",
    "TrainResult": "mr_ml.training.train",
    "TuneResult": "mr_ml.tuning.driver",
    "compare": "mr_ml.api_measuring",
    "evaluate": "mr_ml.api_measuring",
    "evaluate_several": "mr_ml.api_measuring",
    "export": "mr_ml.exports.api",
    "infer": "mr_ml.api_measuring",
    "load": "mr_ml.loaded",
    "load_dataset": "mr_ml.api",
    "load_model": "mr_ml.api",
    "open_root": "hdfs_layout",
    "pack": "mr_ml.api",
    "pack_arrays": "mr_ml.packing.arrays",
    "predict": "mr_ml.api",
    "promote": "mr_ml.catalog.promoting",
    "report": "mr_ml.reports.api",
    "resume": "mr_ml.api",
    "resume_tuning": "mr_ml.tuning.api",
    "retrain": "mr_ml.retraining.api",
    "rollback": "mr_ml.catalog.promoting",
    "show_progress": "mr_ml.progress_lines",
    "train": "mr_ml.api",
    "tune": "mr_ml.tuning.api",
}

__all__ = [
    "Dataset",
    "DatasetRef",
    "ExportResult",
    "Inference",
    "LoadedModel",
    "Model",
    "MrMlError",
    "Promotion",
    "Root",
    "TrainResult",
    "TuneResult",
    "compare",
    "evaluate",
    "evaluate_several",
    "export",
    "infer",
    "load",
    "load_dataset",
    "load_model",
    "open_root",
    "pack",
    "pack_arrays",
    "predict",
    "promote",
    "report",
    "resume",
    "resume_tuning",
    "retrain",
    "rollback",
    "show_progress",
    "train",
    "tune",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
