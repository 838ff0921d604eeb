"""The schema file of a table, `schema.yaml`: what each column is for. docs/schema.md describes it.

read_table(path, said={}) -> what `pack` is told, as if its options had said it, and the transforms
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, field, fields
from typing import Any, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.data.stored import shown
from mr_ml.errors import UsageError
from mr_ml.readers.csv.stored import DELIMITER, is_delimiter
from mr_ml.readers.transforms.base import Beside, Spelling, Transform
from mr_ml.readers.transforms.registry import TRANSFORMS
from mr_ml.settings.faults import lines_of, suggestion
from mr_ml.settings.sections import values_of
from mr_ml.settings.yaml_tree import Fault, Node, Place, read_bytes, read_tree

Column = str | int
Columns = Column | tuple[Column, ...]

# Kinds of column that need nothing to be learnt but their values, and that options of `pack` say as well.
PLAIN = ("numeric", "categorical")


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """What may stand in a schema file.

    Attributes
    ----------
    label
        The column of the label; without it the one called label, target or y.
    weight
        The column of row weights.
    offset
        The column of a known part of the margin.
    group
        The column whose rows stay together in a split, as `split_by` of a pack.
    id
        Columns that say which row it is; they are no features.
    drop
        Columns to leave out.
    columns
        What each column is: "numeric" or "categorical", or keys `kind` and what that kind knows, or a list of these.
    others
        What columns are that the file does not name: "detect" finds out, "numeric" are numbers, "drop" leaves them out.
    missing
        What to do where a value is missing, of all columns that say nothing else: "error" refuses the row, "drop"
        leaves it out, "zero" and a number stand for it; a missing category is then a category of its own.
    missing_markers
        Texts that mean no value, in place of the default ones.
    unseen
        What a category is that was not there when the data was packed: "error", a bad row, or "ignore", all zeros.
    delimiter
        One character, or "tab".
    header
        Whether the first line names the columns.
    decimal
        Decimal mark, "." or ",".
    thousands
        What separates groups of three digits.
    percent
        Whether numbers may end with %, and are then hundredths.
    """

    label: Column | None = None
    weight: Column | None = None
    offset: Column | None = None
    group: Column | None = None
    id: Columns = ()
    drop: Columns = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    others: Literal["detect", "numeric", "drop"] = "detect"
    missing: Literal["error", "drop", "zero"] | float = "error"
    missing_markers: tuple[str, ...] | None = None
    unseen: Literal["error", "ignore"] = "error"
    delimiter: str = ","
    header: bool | None = None
    decimal: Literal[".", ","] = "."
    thousands: str = ""
    percent: bool = False


# Keys that options of `pack` say by another name.
_SPELLED = {
    "label": "label_column", "weight": "weight_column", "offset": "offset_column", "group": "split_by",
}  # fmt: skip


def read_table(path: str, *, said: Mapping[str, Any]) -> dict[str, Any]:
    """Read a schema file.

    Parameters
    ----------
    said
        What options of `pack` say of the text, by their names, ``split_by`` among them.

    Returns
    -------
    dict
        The same with what the file says; what no option says is by the name ``schema``, as plain JSON: fields of
        `mr_ml.readers.text.options.TextOptions`.

    Raises
    ------
    UsageError
        If something is wrong with the file, all at once by line and key, or it says what an option says too.
    StorageError
        If it cannot be read.
    """
    content = read_bytes(path, what="a schema file", guide="docs/schema.md")
    tree, faults = read_tree(content, {})
    known = typing.get_type_hints(TableFile, include_extras=True)
    lists = dict.fromkeys(_sections(), Any)
    values = values_of(tree, (), {**known, **lists}, faults)
    beside = _beside({**said, **values})
    plain: dict[str, list[str]] = {kind: [] for kind in PLAIN}
    transforms = list(_of_columns(tree.at(("columns",)), beside, plain, faults))
    for section in lists:
        transforms += _of_list(tree.at((section,)), section, beside, faults)
    faults += _of_delimiter(tree, values)
    if not faults:
        faults += _of_spelling(tree, values)
    if faults:
        raise UsageError("\n".join(lines_of(path, faults)))
    for name in values:
        option = _SPELLED.get(name, name)
        if option in said:
            place = f"{path}:{tree.line_of((name,))}: {name}"
            raise UsageError(f"`{option}`: expected once, found it in {place} too; leave one of them out")
    among = Beside(missing=beside.missing, spelling=beside.spelling, transforms=tuple(transforms))
    return {**said, **_options(values, plain), "schema": {
        "id_columns": list(_each(values.get("id", ()))),
        "detect_categorical": values.get("others", "detect") == "detect",
        "drop_others": values.get("others") == "drop",
        "transforms": [transform.among(among).to_json() for transform in transforms],
    }}  # fmt: skip


def _sections() -> list[str]:
    """Return the keys of lists of transforms that are of several columns."""
    return sorted({kind.section for kind in map(TRANSFORMS.get, TRANSFORMS)} - {"columns"})


def _options(values: Mapping[str, Any], plain: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what the file says that options could have said."""
    own = (
        "label",
        "weight",
        "offset",
        "group",
        "missing_markers",
        "unseen",
        "delimiter",
        "decimal",
        "thousands",
        "percent",
    )
    options = {_SPELLED.get(name, name): values[name] for name in own if values.get(name) is not None}
    if "missing" in values:
        policy = values["missing"]
        options["missing"] = policy if isinstance(policy, str) else f"value:{policy!r}"
    if values.get("header") is not None:
        options |= {"no_header": not values["header"], "header": values["header"]}
    if "drop" in values:
        options["drop"] = _each(values["drop"])
    return options | {kind: names for kind, names in plain.items() if names}


def _beside(values: Mapping[str, Any]) -> Beside:
    """Return what is said of all columns, by the file or by options."""
    policy = values.get("missing", "error")
    if isinstance(policy, str) and policy not in ("error", "drop"):
        # as an option has it; what is no number is said where options are checked
        number = "0" if policy == "zero" else policy.removeprefix("value:")
        try:
            policy = float(number)
        except ValueError:
            policy = "error"
    spelling = {item.name: values[item.name] for item in fields(Spelling) if item.name in values}
    return Beside(missing=policy, spelling=Spelling(**spelling))


def _of_columns(
    node: Node | None, beside: Beside, plain: dict[str, list[str]], faults: list[Fault]
) -> Iterator[Transform]:
    """Yield the transforms of single columns, and add those that are `plain`."""
    if node is None or not isinstance(node.items, dict):
        return
    kinds = {kind.written: kind for kind in map(TRANSFORMS.get, TRANSFORMS) if kind.section == "columns"}
    for name, use in node.items.items():
        uses = list(enumerate(use.items)) if isinstance(use.items, list) else [(None, use)]
        if not uses:
            faults.append(Fault(use.line, ("columns", name), "expected what the column is, found an empty list"))
        for k, one in uses:
            place: Place = ("columns", name) if k is None else ("columns", name, k)
            if one.is_faulty:
                continue
            word, keys = (one, {}) if one.items is None else (one.at(("kind",)), one.items)
            kind = _kind_of(word, one, place, kinds, faults)
            if kind is None:
                continue
            if kind in PLAIN and len(keys) <= 1 and len(uses) == 1:
                plain[kind].append(name)
                continue
            yield from _made(kinds[kind], one, place, {"column": name}, beside, faults)


def _kind_of(word: Node | None, use: Node, place: Place, kinds: Mapping[str, Any], faults: list[Fault]) -> str | None:
    """Return what a column is said to be, if that is known."""
    if word is None:
        found = "none" if isinstance(use.items, dict) else use.shown()
        faults.append(Fault(use.line, place, f"expected the key `kind`, found {found}; there is {', '.join(kinds)}"))
    elif not isinstance(word.value, str):
        if not word.is_faulty:
            faults.append(Fault(word.line, place, f"expected one of {', '.join(kinds)}, found {word.shown()}"))
    elif word.value not in kinds:
        hint = suggestion(word.value, list(kinds))
        faults.append(Fault(word.line, place, f"{word.shown()} is no kind of column; {hint}"))
    else:
        return word.value
    return None


def _of_list(node: Node | None, section: str, beside: Beside, faults: list[Fault]) -> Iterator[Transform]:
    """Yield the transforms of a list of such as are of several columns."""
    if node is None or node.is_faulty:
        return
    (kind,) = (kind for kind in map(TRANSFORMS.get, TRANSFORMS) if kind.section == section)
    if not isinstance(node.items, list):
        faults.append(Fault(node.line, (section,), f"expected a list, found {node.shown()}"))
        return
    for k, item in enumerate(node.items):
        yield from _made(kind, item, (section, k), {}, beside, faults)


def written(kind: type[Transform]) -> dict[str, Any]:
    """Return the keys that a user writes of a kind of transform, with their annotations."""
    return {
        name: annotation
        for name, annotation in typing.get_type_hints(kind, include_extras=True).items()
        if name in {item.name for item in fields(kind)} - kind.own
    }


def _made(
    kind: type[Transform], node: Node, place: Place, own: Mapping[str, Any], beside: Beside, faults: list[Fault]
) -> Iterator[Transform]:
    """Yield the transform that a part of the file says, if nothing is wrong with it."""
    before = len(faults)
    known = written(kind)
    values: dict[str, Any] = {}
    if node.items is not None:
        values = values_of(node, place, {**known, **({"kind": str} if own else {})}, faults)
        values.pop("kind", None)
    if len(faults) > before:
        return
    unsaid = {name: value for name, value in kind.unsaid(beside).items() if name in known}
    values = {**own, **unsaid, **values}
    lacking = [item.name for item in fields(kind) if item.default is MISSING and item.name not in values]
    if lacking:
        faults.append(Fault(node.line, place, f"expected the key `{lacking[0]}`, found none"))
        return
    try:
        made = kind(**values)
        made.check_stored()
    except ValueError as error:
        faults.append(Fault(node.line, place, str(error)))
    else:
        yield made


def _of_delimiter(tree: Node, values: Mapping[str, Any]) -> Iterator[Fault]:
    """Find a delimiter that is none."""
    found = values.get("delimiter", ",")
    if found not in ("tab", "\\t") and not is_delimiter(found):
        place = ("delimiter",)
        yield Fault(tree.line_of(place), place, f"expected {DELIMITER}, or tab, found {shown(found)}")


def _of_spelling(tree: Node, values: Mapping[str, Any]) -> Iterator[Fault]:
    """Find marks that cannot be told from each other."""
    try:
        Spelling(decimal=values.get("decimal", "."), thousands=values.get("thousands", "")).check_spelling()
    except ValueError as error:
        yield Fault(tree.line_of(("thousands",)), ("thousands",), str(error))


def _each(value: Columns) -> tuple[Column, ...]:
    return value if isinstance(value, tuple) else (value,)
