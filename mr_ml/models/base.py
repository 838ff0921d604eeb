"""Kinds of model, on the driver: what of a run, a pass and a published model depends on the kind, and nothing else.

    spec --problem--> objective and optimizer --passes--> state --conclude--> arrays --model--> Model

A kind is a folder here, or another package, and one line in `MODEL_KINDS`, or an entry point of the group
``mr_ml.model_kinds``. What its map tasks do is said by its queries and its `Predictor`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from hdfs_layout.registry import Registry
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices
from mr_ml.models.warm_start import WarmFile
from mr_ml.readers.labels import label_texts
from mr_ml.readers.schema import Schema
from mr_ml.sums.blas import one_thread
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.models.difference import Difference
    from mr_ml.models.formula import Formula
    from mr_ml.models.inference import Inference, Inferring
    from mr_ml.models.paired import MeasuringQuery
    from mr_ml.models.parameters import Parameters
    from mr_ml.models.predictor import Predictor
    from mr_ml.models.prior import Prior
    from mr_ml.models.problem import Problem
    from mr_ml.models.rows_in_memory import Unseen

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

# What documents that name no kind are of: there was one kind once, which had no name.
UNNAMED_KIND = "linear"


@dataclass(frozen=True)
class TrainSpec:
    """The spec of a training, whatever the kind of model; each kind adds options of its own, with defaults.

    With the dataset's data it determines the model.

    Attributes
    ----------
    dataset
        With its version, ``name@3``.
    model
        Name to publish under.
    split
        Of the dataset.
    warm_start
        The model with whose coefficients the search begins, by names of features, ``name@3``; None for none.
    warm_start_from
        The file of coefficients with which it begins instead; None for none.
    limits
        Which of `max_passes` and `tolerance` the kind has, both or none: they say when the search ends, and change
        nothing before that.
    """

    kind: ClassVar[str]
    may_lack: ClassVar[frozenset[str]] = frozenset({"warm_start", "warm_start_from"})
    limits: ClassVar[frozenset[str]] = frozenset()

    dataset: stored.Versioned
    model: stored.Name
    split: stored.Name = "train"
    warm_start: stored.Versioned | None = None
    warm_start_from: WarmFile | None = None

    @property
    def title(self) -> str:
        """What is fitted, in a word."""
        return self.kind

    @property
    def penalty(self) -> str:
        """How parameters are penalised and bounded, in a few words; empty if they are not."""
        return ""

    @property
    def began_with(self) -> str | None:
        """What the search begins with, for people; None if with nothing."""
        return self.warm_start if self.warm_start_from is None else self.warm_start_from.title

    @property
    def strictness(self) -> tuple[float, ...]:
        """How much is penalised, what matters most first."""
        return ()

    def with_prior(self, prior: Prior) -> Self:
        """Return the spec with what an earlier model knows as a prior; UsageError if there is none of such models."""
        raise UsageError(f"`prior`: expected another kind of model; {self.kind} ones take none")

    def check_choices(self) -> None:
        """Raise UsageError where choices do not go together, whatever the data is; not where a spec is only read."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mr_ml.data.stored.read` turns into the same spec, as earlier releases wrote it."""
        named = {} if self.kind == UNNAMED_KIND else {"kind": self.kind}
        defaults = {item.name: item.default for item in fields(self) if item.name in self.may_lack}
        said = {k: v for k, v in vars(self).items() if k not in defaults or v != defaults[k]}
        if self.warm_start_from is not None:
            said["warm_start_from"] = asdict(self.warm_start_from)
        return {**named, **said}

    @classmethod
    def stored_as(cls, document: Mapping[str, Any]) -> tuple[type[TrainSpec], Mapping[str, Any]]:
        """Return the class of the kind that a document names, and what the document has for that class."""
        options = dict(document)
        name = options.pop("kind", UNNAMED_KIND)
        if not isinstance(name, str) or name not in MODEL_KINDS:
            raise ValueError(f"a spec of one of the kinds of model {', '.join(MODEL_KINDS)}")
        return MODEL_KINDS.get(name).spec, options

    @property
    def no_inference(self) -> str | None:
        """Why a model of this spec has no standard errors; None if it may have some."""
        return f"a {self.kind} model has none"

    def check_classes(self, classes: Sequence[float]) -> None:
        """Raise ValueError if a model of this spec cannot have these classes."""


@dataclass(frozen=True, eq=False)
class Measurement(ABC):
    """How a model is measured on a dataset: one pass.

    Attributes
    ----------
    query
        Of the pass.
    columns
        The features of the dataset that the query is about; None for all.
    """

    query: MeasuringQuery
    columns: NDArray[np.int32] | None

    @abstractmethod
    def finish(self, total: Statistic) -> dict[str, Any]:
        """Return the metrics by name."""

    @abstractmethod
    def sum_bytes(self, n_rows: int) -> int:
        """Return bytes of the sums of so many rows."""


@dataclass(frozen=True, eq=False)
class Model(ABC):
    """One version of a model.

    Attributes
    ----------
    name
        Under which it is published.
    version
        From 1 on; 0 before it is published.
    schema
        Of the rows that it reads.
    classes
        Label values of the outputs as the schema codes them; empty for regression.
    manifest
        The published document: spec, dataset version, run, training result, uri and checksum of the coefficients.
    """

    name: str
    version: int
    schema: Schema
    classes: tuple[float, ...]
    manifest: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """Name and version, ``iris@3``; ``iris (candidate)`` before it is published."""
        return f"{self.name}@{self.version}" if self.version else f"{self.name} (candidate)"

    @property
    def n_features(self) -> int:
        """Features of a row."""
        return self.schema.n_features

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features in their order; those of libsvm rows are their ids."""
        return tuple(map(self.schema.name_of, range(self.n_features)))

    @property
    def label_texts(self) -> list[str]:
        """The classes as users write them."""
        return label_texts(self.schema, self.classes)

    @property
    def has_probabilities(self) -> bool:
        """Whether predictions of classes are probabilities; else they are decision values, the largest of its class."""
        return True

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of the coefficients."""

    @abstractmethod
    def predictor(self) -> Predictor:
        """Return what map tasks predict rows with."""

    @abstractmethod
    def measurement(
        self, dataset: Dataset, *, row_weights: bool, by_name: bool = False, choices: MetricChoices = NO_CHOICES
    ) -> Measurement:
        """Return how the model is measured on a dataset.

        Parameters
        ----------
        row_weights
            Whether the dataset's row weights count, if it has any.
        by_name
            Whether columns are taken by the names of their features, in whatever order: those that the model does not
            know count for nothing, and those that the dataset lacks are 0. Else all must be those of the model.
        choices
            What is asked for beyond the metrics that are always told.

        Raises
        ------
        BadDataError
            If the dataset's features or labels are not those that the model knows.
        UsageError
            If such a model cannot tell what is asked for.
        """

    @abstractmethod
    def summary(self) -> str:
        """Return what the model is, in a few words."""

    @abstractmethod
    def parameters(self, moments: FeatureMoments | None, inference: Inference | None) -> Parameters:
        """Return the parameters, as people read them.

        Parameters
        ----------
        moments
            Of the rows that the model was trained on; None if they are gone.
        inference
            How sure the parameters are; None if it was not found out.
        """

    @abstractmethod
    def difference(self, other: Model, most: int) -> Difference:
        """Return how `other` differs, with the `most` features that differ most; UsageError if of another kind."""

    def inferring(self, spec: Any, dataset: Dataset, moments: FeatureMoments) -> Inferring:
        """Return how it is found how sure the parameters are.

        Parameters
        ----------
        spec, dataset, moments
            With which the model was trained.

        Raises
        ------
        UsageError
            If such a model has no standard errors.
        NoModelError
            If this one has none, since it is no optimum.
        """
        raise UsageError(f"{self.reference} has no standard errors: {spec.no_inference}")

    def formula(self) -> Formula:
        """Return what the model computes of a row, for exports.

        Raises
        ------
        UsageError
            If exports have no words for it.
        """
        raise UsageError(f"{self.reference} cannot be exported: there are no words for {self.summary()}")

    def decision_function(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> Floats:
        """Return what the prediction of each row follows from, (n_rows,), or with several outputs (n_rows, n_outputs).

        Parameters and errors are those of `predict`; UsageError too if such a model has no such thing.
        """
        raise UsageError(f"{self.reference} has no decision values: {self.summary()}")

    def predict_proba(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> Floats:
        """Return the probability of each class.

        Parameters
        ----------
        x
            (n_rows, n_features), an array or a scipy sparse matrix, features as in `feature_names`. Or a data frame (of
            pandas or polars, a table of pyarrow, a dict of columns), whose columns are known by name and read as those
            of a file: categories, missing values, offsets; columns that the model does not know are ignored.
        offsets
            (n_rows,), a known part of the margins; None for 0, or for what the data frame says.
        unseen
            "error" or "ignore", of categories of a data frame that the model does not know; None as packed.

        Returns
        -------
        numpy.ndarray
            (n_rows, n_classes), classes as in `label_texts`; what ``mr-ml predict`` writes for such rows.

        Raises
        ------
        UsageError
            If the model predicts numbers, or classes without probabilities, or rows have another number of features.
        BadDataError
            If rows of a data frame are bad ones: says which.
        """
        self.check_probable()
        return self._values(x, offsets, unseen)

    def check_probable(self) -> None:
        """Raise UsageError if predictions are no probabilities."""
        if not self.classes:
            raise UsageError(f"{self.reference} predicts numbers, not classes; use predict")
        if not self.has_probabilities:
            raise UsageError(
                f"{self.reference} has no probabilities: {self.summary()}; use predict, or train with `loss` logistic"
            )

    def predict(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> NDArray[Any]:
        """Return the label of each row as users write it, or the predicted number.

        Parameters
        ----------
        x, offsets, unseen
            As of `predict_proba`.

        Returns
        -------
        numpy.ndarray
            (n_rows,) of str, or of float64 for regression.

        Raises
        ------
        UsageError
            If rows have another number of features.
        BadDataError
            As of `predict_proba`.
        """
        return self.chosen(self._values(x, offsets, unseen))

    def chosen(self, values: Floats) -> NDArray[Any]:
        """Return what is predicted by values of each class, or of one number, (n_rows, n_values)."""
        return np.array(self.label_texts)[values.argmax(axis=1)] if self.classes else values[:, 0]

    def _values(self, x: Any, offsets: Floats | None, unseen: Unseen | None) -> Floats:
        from mr_ml.models.rows_in_memory import block_of

        block = block_of(self.schema, x, offsets=offsets, unseen=unseen)
        with one_thread(), np.errstate(all="ignore"):
            return self.predictor().values(block)


SpecT = TypeVar("SpecT", bound=TrainSpec)


class ModelKind(Protocol[SpecT]):
    """A kind of model.

    Attributes
    ----------
    spec
        The class of its specs: what can be chosen, with defaults.
    """

    spec: type[SpecT]

    def problem(self, spec: SpecT, dataset: Dataset, moments: FeatureMoments) -> Problem:
        """Return what a spec and a dataset determine.

        Raises
        ------
        UsageError
            If they do not fit together.
        BadDataError
            If the data does not allow such a model.
        """

    def model(
        self, *, name: str, version: int, spec: SpecT, schema: Schema, classes: tuple[float, ...],
        manifest: Mapping[str, Any], arrays: dict[str, NDArray[Any]], where: str,
    ) -> Model:  # fmt: skip
        """Return the model that `Conclusion.arrays` describe.

        Parameters
        ----------
        where
            The file of the arrays, for messages.

        Raises
        ------
        BadDataError
            If the arrays are not of such a model.
        """


MODEL_KINDS: Registry[ModelKind[Any]] = Registry(
    "kind of model", group="mr_ml.model_kinds", built_in={"linear": "mr_ml.models.linear.kind:LINEAR"}
)
"""Name -> kind."""
