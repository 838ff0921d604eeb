#!/usr/bin/env python3
"""Predict rows by one model that mr_ml trained. It needs Python 3.10 or newer, and nothing but its standard library.

As a program it reads rows as text from stdin, as the rows of training were written, and writes a line for each one:

    python scorer.py < rows.csv > predictions.tsv

the label and the probability of each class, or the predicted number, between tabs. An empty line has an empty line;
a row that cannot be read ends it with exit code 65, unless there are at most --max-bad-rows N, which have empty lines.

As a module it has ``predict(row)``, a row being a dict of what its columns hold, numbers or text, None for no value:

    >>> predict({"age": 41, "city": "Berlin"})      # {"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}

The model is the JSON document below, which is described in docs/exports.md of mr_ml.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mr_ml.readers.transforms.alone import TRANSFORMS, Fields, RowError, codes_of, without_fraction

_DOCUMENT = "{}"

MODEL: dict[str, Any] = json.loads(_DOCUMENT)

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_CSV_FIELD = 1 << 28


class Scorer:
    """A model that predicts rows.

    Parameters
    ----------
    document
        Of a model, as ``mr-ml export --as json`` writes it.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        inputs = document["inputs"]
        self.labels: list[str] = document["labels"]
        self.values_are: str = document["values"]
        self.text: dict[str, Any] = inputs["text"]
        self._respond = _RESPONSES[document["response"]]
        self._place = {feature: k for k, feature in enumerate(document["features"])}
        self._rows: list[list[float]] = document["coefficients"]
        self._centres: list[float] = document["centres"]
        self._n_features: int = document["n_features"]
        self._index_base: int = document["index_base"]
        self._columns: list[dict[str, Any]] | None = inputs["columns"]
        self._offset: str | None = inputs["offset"]
        self._ignores_unseen: bool = inputs["ignores_unseen"]
        self._fields = Fields(inputs)
        self._made = [
            (made["first"], TRANSFORMS[made["kind"]](made, self._fields)) for made in inputs.get("transforms", ())
        ]
        self._codes = [
            codes_of(column["categories"], whole=column["whole"]) if column["categories"] is not None else {}
            for column in self._columns or ()
        ]
        self._centred = [k for k, centre in enumerate(self._centres) if centre]
        self._intercepts: list[float] = document["intercepts"]

    def values(self, row: Mapping[Any, Any]) -> list[float]:
        """Return the value of each class, or the one number; raises RowError for a row that mr_ml would refuse."""
        found = self._features(row)
        given = dict(found)
        if self._offset is None:
            offset = 0.0
        elif self._offset in row:
            number = self._fields.number(row[self._offset], self._offset)
            if number is None:
                raise RowError(f"no value in column {self._offset!a}, the offset")
            offset = number
        else:
            raise RowError(f"no column {self._offset!a}, the offset")
        margins = []
        for intercept, weights in zip(self._intercepts, self._rows, strict=True):
            total = intercept
            for k, number in given.items():
                total += weights[k] * (number - self._centres[k])
            margins.append(total + offset)
        # features that a row lacks are 0: where something is taken off them, what is left is not
        for k in self._centred:
            if k not in given:
                margins = [z - weights[k] * self._centres[k] for z, weights in zip(margins, self._rows, strict=True)]
        values: list[float] = self._respond(margins)
        return values

    def predict(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the label with the value of each class by label, or the predicted number, of a row."""
        values = self.values(row)
        if not self.labels:
            return {"prediction": values[0]}
        name = "probabilities" if self.values_are == "probability" else "decisions"
        return {"label": self._label(values), name: dict(zip(self.labels, values, strict=True))}

    def line(self, row: Mapping[Any, Any]) -> str:
        """Return what ``mr-ml predict`` writes of a row, without a line end."""
        values = self.values(row)
        numbers = "\t".join(map(repr, values))
        return f"{self._label(values).translate(_ESCAPES)}\t{numbers}" if self.labels else numbers

    @property
    def is_numbered(self) -> bool:
        """Whether features have numbers only."""
        return self._columns is None

    def header(self) -> str:
        """Return the line above the predictions of a file that has a header."""
        word = self.values_are
        names = [f"{word}_{label.translate(_ESCAPES)}" for label in self.labels]
        return "\t".join(["label", *names]) if self.labels else "prediction"

    def _label(self, values: Sequence[float]) -> str:
        return self.labels[max(range(len(values)), key=values.__getitem__)]

    def _features(self, row: Mapping[Any, Any]) -> Iterator[tuple[int, float]]:
        """Yield place of the coefficients, and number, of the features of a row."""
        if self._columns is None:
            yield from self._numbered(row)
            return
        for column, codes in zip(self._columns, self._codes, strict=True):
            name = column["name"]
            value = self._fields.given(row, name)
            if column["categories"] is None:
                feature, number = column["first"], self._fields.number(value, name)
                if number is None and column["missing"] == "refuse":
                    raise RowError(f"no value in column {name!a}")
                number = column["fill"] if number is None else number
            else:
                code, number = self._category(value, column, codes), 1.0
                if code is None:
                    continue
                feature = column["first"] + code
            if feature in self._place:
                yield self._place[feature], number
        for first, make in self._made:
            for feature, number in make(row):
                if first + feature in self._place:
                    yield self._place[first + feature], number

    def _numbered(self, row: Mapping[Any, Any]) -> Iterator[tuple[int, float]]:
        for name, value in row.items():
            feature = int(name) - self._index_base
            if not 0 <= feature < self._n_features:
                if self._ignores_unseen:
                    continue
                raise RowError(f"feature {name!a}, which the model does not know")
            number = self._fields.number(value, str(name))
            if number is None:
                raise RowError(f"no value of feature {name!a}")
            if feature in self._place:
                yield self._place[feature], number

    def _category(self, value: Any, column: Mapping[str, Any], codes: Mapping[str, int]) -> int | None:
        """Return the position of a category; None where the column adds nothing."""
        if isinstance(value, bool):
            value = int(value)
        text = None if value is None or value != value else str(value).strip(self._fields.blanks)
        if text is not None:
            code = codes.get(text)
            if code is None and column["whole"]:
                code = codes.get(without_fraction(text))
            if code is not None:
                return code
        if text is None or text in self._fields.missing:
            if column["missing"] == "refuse":
                raise RowError(f"no value in column {column['name']!a}")
            return None if column["missing"] == "ignore" else codes[column["fill"]]
        if column["unseen"] == "refuse":
            raise RowError(f"column {column['name']!a}: {text[:60]!a} is none of its categories")
        return None


# --- what is made of margins ------------------------------------------------------------------------------------------


def _total(numbers: Any) -> float:
    total = 0.0
    for number in numbers:
        total += number
    return total


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _of_two(z: float, smaller: float, larger: float) -> list[float]:
    return [smaller, larger] if z > 0 else [larger, smaller]


def _sigmoid(margins: Sequence[float]) -> list[float]:
    e = math.exp(-abs(margins[0]))
    larger = 1 / (1 + e)
    return _of_two(margins[0], e * larger, larger)


def _normal(margins: Sequence[float]) -> list[float]:
    smaller = math.erfc(abs(margins[0]) * math.sqrt(0.5)) / 2
    return _of_two(margins[0], smaller, 1 - smaller)


def _cloglog(margins: Sequence[float]) -> list[float]:
    rate = math.exp(min(margins[0], 709.0))
    return [math.exp(-rate), -math.expm1(-rate)]


def _softmax(margins: Sequence[float]) -> list[float]:
    most = max(margins)
    terms = [math.exp(z - most) for z in margins]
    total = _total(terms)
    return [term / total for term in terms]


_RESPONSES: dict[str, Any] = {
    "identity": list,
    "exp": lambda margins: [_exp(margins[0])],
    "reciprocal": lambda margins: [1 / margins[0] if margins[0] > 0 else math.inf],
    "reciprocal_root": lambda margins: [1 / math.sqrt(margins[0]) if margins[0] > 0 else math.inf],
    "sigmoid": _sigmoid,
    "normal": _normal,
    "complementary_log_log": _cloglog,
    "sides": lambda margins: [-margins[0], margins[0]],
    "normalised_exponentials": _softmax,
}


# --- text -------------------------------------------------------------------------------------------------------------


def _csv_rows(scorer: Scorer, lines: Any) -> Iterator[Any]:
    """Yield a dict for each row of CSV text, None for an empty line, an error for one that is no row."""
    csv.field_size_limit(_CSV_FIELD)
    reader = csv.reader(lines, delimiter=scorer.text["delimiter"], strict=True)
    names: list[str] | None = None if scorer.text["header"] else scorer.text["columns"]
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield RowError(str(error))
            continue
        if fields is None:
            return
        if not fields or (len(fields) == 1 and not fields[0].strip()):
            yield None
        elif names is None:
            names = [field.strip() for field in fields]
        elif len(fields) != len(names):
            yield RowError(f"expected {len(names)} fields, found {len(fields)}")
        else:
            yield dict(zip(names, fields, strict=True))


def _libsvm_rows(scorer: Scorer, lines: Any) -> Iterator[Any]:
    """Yield a dict of feature ids for each row of libsvm text, None for an empty line, an error for no row."""
    for line in lines:
        tokens = line.partition("#")[0].split()
        row: dict[int, str] = {}
        error: RowError | None = None
        for token in tokens if not tokens or ":" in tokens[0] else tokens[1:]:
            name, colon, value = token.partition(":")
            if name == "qid" and colon:
                continue
            if not (colon and name.isascii() and name.isdigit() and value) or int(name) in row:
                error = RowError(f"expected features as id:value, each id once, found {token[:60]!a}")
                break
            row[int(name)] = value
        yield error or (row if tokens else None)


def main(arguments: Sequence[str]) -> int:
    """Predict the rows of stdin; returns the exit code."""
    most_bad = 0
    if len(arguments) == 2 and arguments[0] == "--max-bad-rows" and arguments[1].isdigit():
        most_bad = int(arguments[1])
    elif arguments:
        print("usage: python THIS_FILE [--max-bad-rows N] < rows > predictions", file=sys.stderr)
        return 2
    scorer = Scorer(MODEL)
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
    is_csv = "delimiter" in scorer.text
    if not is_csv and not scorer.is_numbered:
        print("rows of this model are no text: import this file, and use its predict", file=sys.stderr)
        return 2
    if is_csv and scorer.text["header"]:
        print(scorer.header(), file=out)
    n_bad = 0
    for number, row in enumerate(_csv_rows(scorer, lines) if is_csv else _libsvm_rows(scorer, lines), 1):
        try:
            if isinstance(row, RowError):
                raise row
            print("" if row is None else scorer.line(row), file=out)
        except RowError as error:
            n_bad += 1
            print(f"row {number}: {error}", file=sys.stderr)
            if n_bad > most_bad:
                out.flush()
                return 65
            print(file=out)
    out.flush()
    return 0


def predict(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the prediction for a row: a dict from the names of columns (of libsvm rows, ids) to values."""
    global _SCORER
    if _SCORER is None:
        _SCORER = Scorer(MODEL)
    return _SCORER.predict(row)


_SCORER: Scorer | None = None

if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except BrokenPipeError:
        # who reads the output has gone, as `head` does, and Python would complain of what it cannot write any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
