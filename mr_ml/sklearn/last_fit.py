"""Where an estimator begins whose last fit is known: `warm_start`, as scikit-learn's estimators have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.rows import listed

_AFRESH = "set warm_start=False to fit afresh"


@dataclass(frozen=True, eq=False, kw_only=True)
class LastFit:
    """What an estimator found when it was fitted before, or what somebody gave it as that.

    Attributes
    ----------
    coef, intercept
        (n_outputs, n_features) and (n_outputs,).
    names
        Of the features; None where they had none.
    classes
        The labels; None of numbers.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    names: tuple[str, ...] | None
    classes: NDArray[Any] | None

    @classmethod
    def of(cls, estimator: Any) -> LastFit | None:
        """Return that of an estimator, before it forgets it; None if it is to begin afresh, or was never fitted.

        Raises
        ------
        ValueError
            If its coefficients are no such arrays of numbers.
        """
        known = vars(estimator)
        if not estimator.warm_start or "coef_" not in known:
            return None
        coef = np.atleast_2d(np.asarray(known["coef_"], np.float64))
        intercept = np.asarray(known.get("intercept_", 0.0), np.float64)
        if coef.ndim != 2 or intercept.shape not in ((), (len(coef),)):
            raise ValueError(
                f"warm_start: expected coef_ (n_outputs, n_features) and intercept_ (n_outputs,), found shapes "
                f"{coef.shape} and {intercept.shape}; {_AFRESH}"
            )
        model = known.get("model_")
        names = known.get("feature_names_in_") if model is None else model.feature_names
        return cls(
            coef=coef, intercept=np.broadcast_to(intercept, len(coef)),
            names=None if names is None else tuple(map(str, names)), classes=known.get("classes_"),
        )  # fmt: skip

    def for_rows(
        self, names: Sequence[str], *, named: Sequence[str] | None, classes: NDArray[Any] | None
    ) -> dict[str, Any]:  # fmt: skip
        """Return it as arrays to begin with, for rows that are in memory.

        Parameters
        ----------
        names, named
            What the features are called; what they are called by who fits, None if arrays have no names.
        classes
            The labels that rows are numbered by; None of numbers.

        Raises
        ------
        ValueError
            If there are other classes, or as many features without names are not there.
        """
        if classes is not None and not np.array_equal(self.classes if self.classes is not None else [], classes):
            found = listed([] if self.classes is None else [str(label) for label in self.classes[:10]])
            raise ValueError(
                f"warm_start: expected the classes of the fit before, {found}, found "
                f"{listed([str(label) for label in classes[:10]])}; {_AFRESH}"
            )
        by_name = self.names is not None and named is not None
        if not by_name and self.coef.shape[1] != len(names):
            raise ValueError(
                f"warm_start: expected the {self.coef.shape[1]} features of the fit before, found {len(names)}, and "
                f"not in both the names of columns, by which they could be told; {_AFRESH}"
            )
        texts = None if classes is None else [str(k) for k in range(len(classes))]
        return self._arrays(self.names if by_name else tuple(names), texts)

    def for_dataset(self) -> dict[str, Any]:
        """Return it as arrays to begin with, for a dataset: by names of features and by labels."""
        return self._arrays(self.names, None if self.classes is None else list(map(str, self.classes.tolist())))

    def _arrays(self, names: Sequence[str] | None, classes: list[str] | None) -> dict[str, Any]:
        arrays: dict[str, Any] = {"coef": self.coef, "intercept": self.intercept}
        if names is not None:
            arrays["feature_names"] = list(names)
        if classes is not None:
            arrays["classes"] = classes
        return {"warm_start_from": arrays}
