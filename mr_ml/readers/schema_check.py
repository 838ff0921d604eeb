"""Whether the parts of a stored schema fit together: those that a pack wrote do."""

from __future__ import annotations

from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.readers.csv.columns import delimiter_of, missing_value_of
from mr_ml.readers.schema import Schema


def check_schema(schema: Schema) -> None:
    """Raise ValueError if the parts do not fit together."""
    if schema.feature_names is not None and len(set(schema.feature_names)) != schema.n_features:
        raise ValueError(f"{schema.n_features} features, {len(set(schema.feature_names))} different feature_names")
    kinds = {type(label) for label in schema.labels}
    if kinds - {{"text": str}.get(schema.label_kind, float)} or (schema.label_kind == "continuous" and kinds):
        raise ValueError(f"label_kind {schema.label_kind!r}, labels {stored.shown(schema.labels)}")
    if list(schema.labels) != sorted(set(schema.labels)):  # type: ignore[type-var]
        raise ValueError(f"labels {stored.shown(schema.labels)}, which are not each once and sorted")
    if schema.options.format != schema.format:
        raise ValueError(f"format {schema.format!r}, but that of options {schema.options.format!r}")
    if schema.format == "csv":
        _check_columns(schema)
        try:
            delimiter_of(schema.options), missing_value_of(schema.options)
        except UsageError as error:
            raise ValueError(str(error)) from None


def _check_columns(schema: Schema) -> None:
    """Of CSV: the features of the columns follow one upon the other."""
    categorical = {name for name, column in schema.columns.items() if column["kind"] == "categorical"}
    if categorical != schema.vocabularies.keys():
        raise ValueError(f"vocabularies of {sorted(schema.vocabularies)}, categorical columns {sorted(categorical)}")
    at, firsts = 0, []
    for name, column in schema.columns.items():
        if column["kind"] in ("numeric", "categorical"):
            firsts.append((column["first"], len(schema.vocabularies[name]) if name in categorical else 1))
        elif column["first"] is not None:
            raise ValueError(f"column {name!r} is no feature, but has a first one")
    for first, count in sorted(firsts, key=lambda item: (item[0] is None, item[0])):
        if first != at:
            raise ValueError(f"columns whose features begin at {first}, expected {at}")
        at += count
    if schema.feature_names is None or at != schema.n_features:
        raise ValueError(f"{schema.n_features} features, those of columns are {at}")
    labels = [name for name, column in schema.columns.items() if column["kind"] == "label"]
    known = schema.options.columns
    if len(labels) != 1 or known is None or set(known) - schema.columns.keys() or len(set(known)) != len(known):
        raise ValueError(f"label columns {labels}, columns {known}, uses of {sorted(schema.columns)}")
