"""A slow, obvious reader of CSV text: one line, one cell, one `float` at a time. The oracle of the fast one.

Cells are cut by Python's csv module, except beside blanks around quotes, which it does not take; there, and to know
which quotes are stray, by a regular expression.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from reference_libsvm import NUMERIC, kinds_of_bytes

from mr_ml.readers.rows import BAD_KINDS
from mr_ml.readers.text.options import TextOptions

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
    found: dict[Any, str] = dict.fromkeys(options.columns or (), "either" if options.detect_categorical else "numeric")
    found |= dict.fromkeys(options.drop_columns, "dropped")
    found |= dict.fromkeys(options.categorical_columns, "categorical")
    found |= dict.fromkeys(options.numeric_columns, "numeric")
    for role in ("label", "weight", "offset", "group"):  # of the label the lists say of which kind it is
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


def number_of(cell: str, options: TextOptions) -> float | None:
    """The number that a cell spells under the options; None if it spells none, or one beyond the doubles."""
    text = cell
    if options.percent and text.endswith("%"):
        text = text[:-1].removesuffix(" ") + "e-2"
    if options.thousands and options.thousands in text:
        grouped = re.fullmatch(rf"([+-]?[0-9]{{1,3}})((?:{re.escape(options.thousands)}[0-9]{{3}})+)(\D.*)?", text)
        if grouped:
            text = grouped[1] + grouped[2].replace(options.thousands, "") + (grouped[3] or "")
    if options.decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    if DECIMAL.fullmatch(text) is None or math.isinf(float(text)):
        return None
    return float(text)


def is_number(cell: str, options: TextOptions) -> bool:
    return number_of(cell, options) is not None


def kind_if_like_a_number(cell: str) -> str | None:
    """Of cells that are no numbers; 'other' if a number but for a currency sign, or as Python alone reads it."""
    bare = cell.strip()
    if bare.lower().lstrip("+-") in ("nan", "inf", "infinity") and len(bare) - len(bare.lstrip("+-")) <= 1:
        return "not_finite"
    if DECIMAL.fullmatch(cell):
        return "overflow" if math.isinf(float(cell)) else "decimal_mark"
    try:
        float(cell)
    except ValueError:
        pass
    else:
        return "non_ascii" if not cell.isascii() else "underscore" if "_" in cell else "other"
    for pattern, kind in (
        (r"[+-]?[$]?[0-9.,]*[0-9] ?%", "percent"),
        (r"[+-]?[$]?[0-9]{1,3}([,. '][0-9]{3})+([.,][0-9]*)?", "thousands"),
        (r"[+-]?[0-9]*,[0-9]+", "decimal_mark"),
        (r"[+-]?[$][0-9]+(\.[0-9]*)?", "other"),
    ):
        if re.fullmatch(pattern, bare):
            return kind
    return None


def kinds_of_number(cell: str, default: str) -> set[str]:
    kind = kind_if_like_a_number(cell)
    if kind is not None:
        return {default if kind == "other" else kind}
    if not cell.isascii():
        return {"non_ascii"}
    if "_" in cell and set(cell) <= NUMERIC:
        return {"underscore"}
    return {"date"} if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}", cell) else {default}


def is_missing(cell: str, options: TextOptions, *, among_numbers: bool = False) -> bool:
    return cell == "" or cell in (*options.missing_markers, *(options.number_markers if among_numbers else ()))


def kinds_of_extras(cells: Cells, options: TextOptions) -> set[str]:
    kinds = set()
    if options.header and all(name == cell for name, cell in cells.items()):
        kinds |= set() if all(is_number(name, options) for name in cells) else {"header_again"}
    for name, role in roles(options).items():
        if name not in cells or role not in ("weight", "offset", "group"):
            continue
        cell = cells[name]
        if is_missing(cell, options, among_numbers=role != "group"):
            kinds.add(f"missing_{role}")
        elif role != "group":
            number = number_of(cell, options)
            if number is None or (role == "weight" and number < 0):
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
            sure = role == "numeric" or (role == "label" and name in options.numeric_columns)
            missing = is_missing(cells[name], options, among_numbers=sure)
            if role == "label" and missing:
                kinds.add("missing_label")
            elif role in ("numeric", "categorical", "either") and missing:
                incomplete = True
            elif sure and not is_number(cells[name], options):
                kinds |= kinds_of_number(cells[name], "bad_label" if role == "label" else "bad_value")
        if incomplete and options.missing == "error":
            kinds.add("missing_value")
        if incomplete and options.missing == "drop":
            n_dropped += 1
        elif kinds:
            bad[number] = first(kinds)
        else:
            good.append(cells)
    return good, bad, n_dropped


def declared(text: bytes, options: TextOptions) -> TextOptions:
    """With the columns of numbers that hold other things too among the numeric ones; one round of it."""
    good, _, _ = scan(text, options)
    found = []
    for name, role in roles(options).items():
        said = name in (*options.numeric_columns, *options.categorical_columns)
        values = [row[name] for row in good if not is_missing(row[name], options)]
        if role in ("either", "label") and not said and has_others(values, options) and are_numbers(values, options):
            found.append(name)
    return replace(options, numeric_columns=(*options.numeric_columns, *found))


def has_others(values: list[str], options: TextOptions) -> bool:
    return not all(is_number(value, options) for value in values)


def are_numbers(values: list[str], options: TextOptions) -> bool:
    """Nine of ten are numbers or like numbers, of those that could not mean a missing one; and one is."""
    judged = [value for value in values if is_number(value, options) or value not in options.number_markers]
    numbers = [value for value in judged if is_number(value, options) or kind_if_like_a_number(value)]
    return not has_others(values, options) or (len(numbers) > 0 and 10 * len(numbers) >= 9 * len(judged))


def resolve(text: bytes, options: TextOptions) -> ReferenceSchema:
    """Decide kinds, vocabularies, labels and features. Raises RefusedText. Takes sets of any size."""
    good, _, _ = scan(text, options)
    if not good:
        raise RefusedText("no rows")
    result = ReferenceSchema(kinds={}, vocabularies={}, labels=[], label_kind="numeric", feature_names=[])
    for name, role in roles(options).items():
        cells = {row[name] for row in good}
        given = [row[name] for row in good if not is_missing(row[name], options)]
        values = set(given)
        result.kinds[name] = role
        if role == "label":
            merged = any(
                re.fullmatch("[+-]?[0-9]+", value, re.ASCII) and int(float(value)) != int(value) for value in values
            )
            if name not in options.categorical_columns and not merged and are_numbers(given, options):
                found = [number_of(value, options) for value in values]
                result.labels = sorted({number + 0.0 for number in found if number is not None})
            else:
                result.label_kind, result.labels = "text", sorted(values)
        elif role == "categorical" or (role == "either" and not are_numbers(given, options)):
            result.kinds[name] = "categorical"
            if values != cells:
                if "<missing>" in values:
                    raise RefusedText("<missing>")
                values.add("<missing>")
            result.vocabularies[name] = sorted(once(values))
            result.feature_names += [f"{name}={value}" for value in result.vocabularies[name]]
        elif role in ("numeric", "either"):
            result.kinds[name] = "numeric"
            result.feature_names.append(name)
    if len(set(result.feature_names)) < len(result.feature_names):
        raise RefusedText("names")
    return result


def whole(value: str) -> str | None:
    """A whole number that does not begin as codes do, without its fraction of zeros."""
    found = re.fullmatch(r"(-?)(0|[1-9][0-9]*)(\.0*)?", value, re.ASCII)
    return found and ("" if found[2] == "0" else found[1]) + found[2]


def are_whole(values: Iterable[str]) -> bool:
    return all(whole(value) is not None for value in values if value != "<missing>")


def once(values: set[str]) -> set[str]:
    """Of whole numbers, the shortest spelling of each."""
    if not are_whole(values):
        return values
    best: dict[str, str] = {}
    for value in sorted(values, key=lambda value: (len(value), value), reverse=True):
        best[whole(value) or value] = value
    return set(best.values())


def place(cell: str, values: list[str]) -> int | None:
    """Where a cell stands among the values."""
    if cell in values:
        return values.index(cell)
    form = whole(cell.removeprefix("+"))
    if form is None or not are_whole(values):
        return None
    forms = [whole(value) for value in values]
    return forms.index(form) if form in forms else None


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
            among_numbers = kind == "numeric" or (kind == "label" and schema.label_kind != "text")
            missing = is_missing(cell, options, among_numbers=among_numbers)
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
                if (number_found := number_of(cell, options)) is not None:
                    label = number_found + 0.0
                elif labels == "required":
                    kinds |= kinds_of_number(cell, "bad_label")
            elif kind == "weight" and name in cells and is_number(cell, options):
                weight = (number_of(cell, options) or 0.0) + 0.0
            elif kind == "offset" and name in cells and is_number(cell, options):
                offset = (number_of(cell, options) or 0.0) + 0.0
            elif kind == "group" and name in cells:
                group = cell
            elif kind == "numeric":
                if missing:
                    incomplete = True
                    features[at] = fill or 0.0
                elif (number_found := number_of(cell, options)) is not None:
                    features[at] = number_found
                else:
                    kinds |= kinds_of_number(cell, "bad_value")
                at += 1
            elif kind == "categorical":
                values = schema.vocabularies[name]
                incomplete |= missing
                value = "<missing>" if missing and fill is not None else cell
                if (found := place(value, values)) is not None and not (missing and fill is None):
                    features[at + found] = 1.0
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
