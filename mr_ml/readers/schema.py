"""How input is turned into rows: the features and labels, and what the format of the input keeps of its own.

``Options`` (asked) + ``Summary`` (seen) -> ``Schema`` (resolved). All three travel to map tasks as JSON, schemas into
manifests too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.registry import FORMATS

MAX_FEATURES = 2**31

LabelKind = Literal["numeric", "text", "continuous"]


class Options(Protocol):
    """What the user says of the input. Only the format reads what is in it."""

    @property
    def format(self) -> str:
        """Name of the format."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the format's `options_from_json` gives the same object back."""


class Part(Protocol):
    """What a format keeps of its own in a schema: a dataclass that `mr_ml.data.stored` reads.

    Its keys are stored beside those of the schema, so they have other names.
    """

    @property
    def options(self) -> Options:
        """What the user said of the input that the schema was made from."""

    @property
    def has_weights(self) -> bool:
        """Whether rows have a weight each."""

    @property
    def has_offsets(self) -> bool:
        """Whether rows have an offset each."""

    @property
    def categories(self) -> Mapping[str, range]:
        """Column of categories -> its features, counted from 0, one for each category: a row has at most one."""

    @property
    def hashes(self) -> tuple[range, ...]:
        """Features, counted from 0, that are hashes: no row need have one of them."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""

    def check(self, schema: Schema) -> None:
        """Raise ValueError if this does not fit the schema that it is a part of."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """How to turn input into rows; stored with datasets and models.

    Attributes
    ----------
    format : str
        Name of the format of the input.
    n_features : int
    index_base : {0, 1}
        What users count features from that have numbers only.
    feature_names : tuple of str, or None
        None where features have numbers only.
    has_groups : bool
        Rows have a group: a query id, or the group column.
    labels : tuple of float, or tuple of str
        Sorted distinct labels; empty where they are continuous.
    label_kind : {'numeric', 'text', 'continuous'}
        'continuous': more than `MAX_LABELS` distinct numbers.
    part : Part
        What the format keeps of its own; nothing else reads it.
    """

    format: str
    n_features: Annotated[int, stored.at_least(0), stored.at_most(MAX_FEATURES)]
    index_base: Literal[0, 1] = 0
    feature_names: tuple[str, ...] | None = None
    has_groups: bool = False
    labels: tuple[float, ...] | tuple[str, ...] = ()
    label_kind: LabelKind = "numeric"
    part: Any

    #: See `stored`: the keys of this field stand beside the others.
    stored_flat: ClassVar[str] = "part"

    @classmethod
    def stored_kind(cls, document: Mapping[str, Any]) -> type[Any]:
        """Return the class of the part.

        Raises
        ------
        ValueError
            If there is no such format: says which there are.
        """
        if document["format"] not in FORMATS:
            raise ValueError(f"format {stored.shown(document['format'])}, known are {', '.join(FORMATS)}")
        kind: type[Any] = FORMATS.get(document["format"]).part
        return kind

    @property
    def options(self) -> Options:
        """What the user said of the input that the schema was made from."""
        options: Options = self.part.options
        return options

    @property
    def has_weights(self) -> bool:
        """Whether rows have a weight each."""
        return bool(self.part.has_weights)

    @property
    def has_offsets(self) -> bool:
        """Whether rows have an offset each."""
        return bool(self.part.has_offsets)

    @property
    def categories(self) -> Mapping[str, range]:
        """Column of categories -> its features, counted from 0, one for each category: a row has at most one."""
        categories: Mapping[str, range] = self.part.categories
        return categories

    @property
    def hashes(self) -> tuple[range, ...]:
        """Features, counted from 0, that are hashes: no row need have one of them."""
        hashes: tuple[range, ...] = self.part.hashes
        return hashes

    def name_of(self, feature: int) -> str:
        """Return what users call the feature of this number."""
        return str(feature + self.index_base) if self.feature_names is None else self.feature_names[feature]

    def first_column_in(self, other: Schema) -> int:
        """Return the column that holds this schema's first feature under another one, by what ids count from."""
        return self.index_base - other.index_base

    def open_ended(self) -> Schema:
        """Return the schema for any number of features, where these have numbers only."""
        return self if self.feature_names is not None else replace(self, n_features=MAX_FEATURES)

    def reads_as(self, other: Schema) -> bool:
        """Whether input is turned into the same rows under this and another schema of as many features or more.

        A label that is a number stands for itself, whatever other ones there are.
        """
        alike = self
        if "text" not in (self.label_kind, other.label_kind):
            alike = replace(alike, labels=other.labels, label_kind=other.label_kind)
        if self.feature_names is None and self.n_features <= other.n_features:
            alike = replace(alike, n_features=other.n_features)
        return alike == other

    @property
    def codes(self) -> tuple[float, ...]:
        """The labels as rows have them: numbers, of texts their places in the list."""
        values = range(len(self.labels)) if self.label_kind == "text" else self.labels
        return tuple(map(float, values))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        return {
            "format": self.format,
            "n_features": self.n_features,
            "index_base": self.index_base,
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "has_groups": self.has_groups,
            "labels": list(self.labels),
            "label_kind": self.label_kind,
            **self.part.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else. Fields that came later than what was written have their defaults.
        """
        return stored.read(cls, document, where=cls.__name__)

    def check_stored(self) -> None:
        """Raise ValueError if the parts do not fit together."""
        if self.feature_names is not None and len(set(self.feature_names)) != self.n_features:
            raise ValueError(f"{self.n_features} features, {len(set(self.feature_names))} different feature_names")
        kinds = {type(label) for label in self.labels}
        if kinds - {{"text": str}.get(self.label_kind, float)} or (self.label_kind == "continuous" and kinds):
            raise ValueError(f"label_kind {self.label_kind!r}, labels {stored.shown(self.labels)}")
        if list(self.labels) != sorted(set(self.labels)):  # type: ignore[type-var]
            raise ValueError(f"labels {stored.shown(self.labels)}, which are not each once and sorted")
        if self.options.format != self.format:
            raise ValueError(f"format {self.format!r}, but that of options {self.options.format!r}")
        self.part.check(self)
