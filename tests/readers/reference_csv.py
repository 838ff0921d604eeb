"""A slow, obvious reader of CSV text: one line, one cell, one `float` at a time. The oracle of the fast one.

Cells are cut by Python's csv module, except beside blanks around quotes, which it does not take; there, and to know
which quotes are stray, by a regular expression.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field, replace

from reference_libsvm import NUMERIC, kinds_of_bytes

from mr_ml.readers.rows import BAD_KINDS
from mr_ml.readers.schema import TextOptions

DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
Cells = dict[str, str]


class RefusedText(Exception):
    """The text as a whole has no schema."""


@dataclass
class Reference:
    """Rows as (line, label, {feature: value}, weight, offset, group); bad lines as line -> kind."""

    rows: list[tuple[int, float | None, dict[int, float], float | None, float | None, str | None]] = field(
        default_factory=list
    )
    bad: dict[int, str] = field(default_factory=dict)
    n_dropped: int = 0
    n_lines: int = 0


@dataclass
class ReferenceSchema:
    """The decisions that are stored in a schema."""

    kinds: dict[str, str]
    vocabularies: dict[str, list[str]]
    labels: list[float] | list[str]
    label_kind: str
    feature_names: list[str]


def roles(options: TextOptions) -> dict[str, str]:
    """Roles of columns that are given by name; the label column must be one of them."""
    found = dict.fromkeys(options.columns or (), "either" if options.detect_categorical else "numeric")
    found |= dict.fromkeys(options.drop_columns, "dropped")
    found |= dict.fromkeys(options.categorical_columns, "categorical")
    found |= dict.fromkeys(options.numeric_columns, "numeric")
    for role in ("label", "weight", "offset", "group"):
        if (name := getattr(options, f"{role}_column")) is not None:
            found[name] = role
    return found


def lines_of(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def cut(line: str, *, delimiter: str) -> list[str] | None:
    """Return the stripped cells of a line; None if a quote stands where none may."""
    blank = "".join(b for b in " \t" if b != delimiter)
    d = re.escape(delimiter)
    cell = re.compile(rf'[{blank}]*(?:"((?:[^"]|"")*)"|([^"{d}]*?))[{blank}]*({d}|$)')
    cells, at = [], 0
    while True:
        match = cell.match(line, at)
        if match is None:
            return None
        quoted, plain, end = match.groups()
        cells.append((plain if quoted is None else quoted.replace('""', '"')).strip(blank))
        at = match.end()
        if not end:
            break
    if not re.search(rf'[{blank}]"|"[{blank}]', line):
        (by_csv,) = csv.reader([line], delimiter=delimiter, strict=True)
        assert [one.strip(blank) for one in by_csv] == cells
    return cells


def cells_of_lines(text: bytes, options: TextOptions) -> tuple[dict[int, Cells], dict[int, str]]:
    """Cells of the lines that have as many as there are columns, and what is wrong with other lines."""
    columns = options.columns or ()
    rows: dict[int, Cells] = {}
    bad: dict[int, str] = {}
    for number, raw in enumerate(lines_of(text)):
        kinds = kinds_of_bytes(raw)
        if kinds:
            bad[number] = first(kinds)
            continue
        line = raw.decode()
        if not line.strip("".join(b for b in " \t" if b != options.delimiter)):
            continue
        cells = None if line.count('"') % 2 else cut(line, delimiter=options.delimiter)
        if line.count('"') % 2:
            bad[number] = "open_quote"
        elif cells is None:
            bad[number] = "stray_quote"
        elif len(cells) != len(columns):
            bad[number] = "too_few_fields" if len(cells) < len(columns) else "too_many_fields"
        else:
            rows[number] = dict(zip(columns, cells, strict=True))
    return rows, bad


def first(kinds: set[str]) -> str:
    return min(kinds, key=list(BAD_KINDS).index)


def is_number(cell: str) -> bool:
    return DECIMAL.fullmatch(cell) is not None and math.isfinite(float(cell))


def reads_as_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def kinds_of_number(cell: str, default: str) -> set[str]:
    kinds = set()
    if DECIMAL.fullmatch(cell):
        kinds.add("overflow")
    if cell.lower().lstrip("+-") in ("nan", "inf", "infinity") and len(cell) - len(cell.lstrip("+-")) <= 1:
        kinds.add("not_finite")
    if not cell.isascii():
        kinds.add("non_ascii")
    if "_" in cell and set(cell) <= NUMERIC:
        kinds.add("underscore")
    return kinds or {default}


def is_missing(cell: str, options: TextOptions) -> bool:
    return cell == "" or cell in options.missing_markers


def kinds_of_extras(cells: Cells, options: TextOptions) -> set[str]:
    kinds = set()
    for name, role in roles(options).items():
        if name not in cells or role not in ("weight", "offset", "group"):
            continue
        cell = cells[name]
        if is_missing(cell, options):
            kinds.add(f"missing_{role}")
        elif role != "group" and not (is_number(cell) and (role == "offset" or float(cell) >= 0)):
            kinds.add(f"bad_{role}")
    return kinds


def scan(text: bytes, options: TextOptions) -> tuple[list[Cells], dict[int, str], int]:
    """Cells of the rows that a scan takes for good, what is wrong with other lines, and how many it leaves out."""
    rows, bad = cells_of_lines(text, options)
    good: list[Cells] = []
    n_dropped = 0
    for number, cells in rows.items():
        kinds = kinds_of_extras(cells, options)
        incomplete = False
        for name, role in roles(options).items():
            missing = is_missing(cells[name], options)
            if role == "label" and missing:
                kinds.add("missing_label")
            elif role in ("numeric", "categorical", "either") and missing:
                incomplete = True
            elif role == "numeric" and not is_number(cells[name]):
                kinds |= kinds_of_number(cells[name], "bad_value")
        if incomplete and options.missing == "error":
            kinds.add("missing_value")
        if incomplete and options.missing == "drop":
            n_dropped += 1
        elif kinds:
            bad[number] = first(kinds)
        else:
            good.append(cells)
    return good, bad, n_dropped


def resolve(text: bytes, options: TextOptions) -> ReferenceSchema:
    """Decide kinds, vocabularies, labels and features. Raises RefusedText. Takes sets of any size."""
    good, _, _ = scan(text, options)
    if not good:
        raise RefusedText("no rows")
    result = ReferenceSchema(kinds={}, vocabularies={}, labels=[], label_kind="numeric", feature_names=[])
    for name, role in roles(options).items():
        cells = {row[name] for row in good}
        values = {cell for cell in cells if not is_missing(cell, options)}
        result.kinds[name] = role
        if role == "label":
            if all(map(reads_as_number, values)):
                result.labels = sorted({float(value) + 0.0 for value in values if is_number(value)})
            else:
                result.label_kind, result.labels = "text", sorted(values)
        elif role == "categorical" or (role == "either" and not all(map(reads_as_number, values))):
            result.kinds[name] = "categorical"
            if values != cells:
                if "<missing>" in values:
                    raise RefusedText("<missing>")
                values.add("<missing>")
            result.vocabularies[name] = sorted(values)
            result.feature_names += [f"{name}={value}" for value in sorted(values)]
        elif role in ("numeric", "either"):
            result.kinds[name] = "numeric"
            result.feature_names.append(name)
    if len(set(result.feature_names)) < len(result.feature_names):
        raise RefusedText("names")
    return result


def read(text: bytes, options: TextOptions, schema: ReferenceSchema, *, labels: str) -> Reference:
    """Read whole lines; the last one may lack its line feed."""
    rows, bad = cells_of_lines(text, options)
    result = Reference(bad=bad, n_lines=len(lines_of(text)))
    fill = {"zero": 0.0}.get(options.missing)
    if options.missing.startswith("value:"):
        fill = float(options.missing.removeprefix("value:"))
    for number, cells in rows.items():
        kinds = kinds_of_extras(cells, options)
        label: float | None = None
        weight = offset = group = None
        features: dict[int, float] = {}
        incomplete = False
        at = 0
        for name, kind in schema.kinds.items():
            cell = cells.get(name, "")
            missing = is_missing(cell, options)
            if kind == "label" and name not in cells:
                continue
            if kind == "label" and missing:
                if labels == "required":
                    kinds.add("missing_label")
            elif kind == "label" and schema.label_kind == "text":
                if cell in schema.labels:
                    label = float(list(schema.labels).index(cell))
                elif labels == "required":
                    kinds.add("unseen_label")
            elif kind == "label":
                if is_number(cell):
                    label = float(cell) + 0.0
                elif labels == "required":
                    kinds |= kinds_of_number(cell, "bad_label")
            elif kind == "weight" and name in cells and is_number(cell):
                weight = float(cell) + 0.0
            elif kind == "offset" and name in cells and is_number(cell):
                offset = float(cell) + 0.0
            elif kind == "group" and name in cells:
                group = cell
            elif kind == "numeric":
                if missing:
                    incomplete = True
                    features[at] = fill or 0.0
                elif is_number(cell):
                    features[at] = float(cell)
                else:
                    kinds |= kinds_of_number(cell, "bad_value")
                at += 1
            elif kind == "categorical":
                values = schema.vocabularies[name]
                incomplete |= missing
                value = "<missing>" if missing and fill is not None else cell
                if value in values and not (missing and fill is None):
                    features[at + values.index(value)] = 1.0
                elif options.unseen == "error" and not (missing and fill is None):
                    kinds.add("unseen_value")
                at += len(values)
        if incomplete and options.missing == "error":
            kinds.add("missing_value")
        if incomplete and options.missing == "drop":
            result.n_dropped += 1
        elif kinds:
            result.bad[number] = first(kinds)
        else:
            stored = {feature: value for feature, value in features.items() if value != 0}
            result.rows.append((number, label, stored, weight, offset, group))
    return result


def without_label(options: TextOptions) -> TextOptions:
    """Options of the same text without its label column."""
    columns = tuple(name for name in options.columns or () if name != options.label_column)
    return replace(options, columns=columns)
