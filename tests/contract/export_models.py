"""Models of many losses, of rows of every kind, with other rows and mr_ml's own predictions of these."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import mr_ml
from hdfs_layout import Root

Rows = list[dict[str, str]]

HOSTILE = 'it\'s "so"; DROP TABLE rows\\ -- `x` <b>&amp;'
CITIES = ("Berlin", "São Paulo", HOSTILE, "x y", "b\\n'''")
MISSING = ("", "NA", "?")


@dataclass(frozen=True)
class Case:
    """A model to be exported.

    Attributes
    ----------
    loss, label
        As `train` takes it, and which labels the rows have.
    columns
        Of CSV text, beside the label; none for libsvm text.
    packed, trained
        What else `pack` and `train` are told.
    unknown
        Whether rows to predict may have categories and features that the model does not know.
    missing
        Whether rows may lack values.
    n_features
        Of libsvm text.
    schema
        A schema file, for the columns that it names.
    numbers
        Columns that are numbers for programs whose columns have types.
    """

    loss: str
    label: Callable[[np.random.Generator, float], str]
    columns: tuple[str, ...] = ("age", "far", "city", "zone")
    packed: Mapping[str, Any] = field(default_factory=dict)
    trained: Mapping[str, Any] = field(default_factory=dict)
    unknown: bool = False
    missing: bool = False
    n_features: int = 12
    schema: str = ""
    numbers: tuple[str, ...] = ("age", "far", "exposure", "price", "since")


def _number(rng: np.random.Generator, z: float) -> str:
    return repr(z + rng.normal() / 4 + 1e6)


def _count(rng: np.random.Generator, z: float) -> str:
    return str(rng.poisson(math.exp(z / 2)))


def _amount(rng: np.random.Generator, z: float) -> str:
    return repr(math.exp(z / 4) * rng.gamma(4) + 0.01)


def _two(rng: np.random.Generator, z: float) -> str:
    return "yes" if z + rng.logistic() > 0 else "no\\ 'not'"


def _three(rng: np.random.Generator, z: float) -> str:
    return ("low", "it's mid", 'high"est')[int(np.clip(z + rng.normal() + 1.5, 0, 2.999))]


ZERO = {"missing": "zero", "unseen": "ignore"}
MADE = ("age", "price", "city", "zone", "agent", "when", "since", "note")
# what is made of columns, with each thing that `missing` may say and keeps rows
KEEPING = """
unseen: ignore
columns:
  age:
    - {kind: numeric, missing: mean, indicator: true}
    - {kind: bucketised, edges: [20, 33.5, 60], missing: category}
  price: {kind: numeric, decimal: ",", thousands: ".", percent: true, missing: median}
  city: {kind: categorical, missing: category}
  zone: [{kind: categorical, missing: none}, {kind: hashed, bits: 3, seed: 5, missing: category}]
  agent: {kind: hashed, bits: 5, seed: 9007199254740993, missing: none}
  when: {kind: date, format: ["%d.%m.%Y", iso], parts: [weekday, days, hour, year, quarter], missing: category}
  since: {kind: date, format: unix-ms, parts: [day, month, days], since: "2001-02-03", missing: none}
  note: {kind: text, bits: 7, ngrams: [1, 3], weights: tf-idf}
crossed:
  - {of: [city, age, zone], bits: 6, missing: category}
  - {of: [zone, when], bits: 4, seed: 7, missing: none}
"""
REFUSING = """
columns:
  age: {kind: bucketised, quantiles: 5}
  price: {kind: numeric, decimal: ",", thousands: ".", percent: true, missing: 1.5}
  city: {kind: categorical, missing: none}
  zone: [{kind: numeric, missing: zero, indicator: true}, {kind: hashed, bits: 4, missing: category}]
  agent: {kind: text, bits: 4, weights: binary, missing: drop}
  when: {kind: date, format: ["%d.%m.%Y", iso], parts: [month], missing: drop}
  since: {kind: date, format: unix-ms, parts: [hour], missing: none}
  note: {kind: text, bits: 5, ngrams: [2, 2]}
crossed:
  - {of: [city, age], bits: 6, missing: category}
"""
# what other languages have words for
TOLD = ("age", "price", "city", "zone")
TOLD_KEEPING = """
unseen: ignore
columns:
  age:
    - {kind: numeric, missing: mean, indicator: true}
    - {kind: bucketised, edges: [0, 20, 33.5, 60], missing: category}
  price:
    - {kind: numeric, decimal: ",", thousands: ".", percent: true, missing: median}
    - {kind: bucketised, decimal: ",", thousands: ".", percent: true, quantiles: 4, missing: none}
  city: {kind: categorical, missing: category}
  zone: {kind: categorical, missing: none}
crossed:
  - {of: [price, age], bits: 4, missing: category}
"""
TOLD_REFUSING = """
columns:
  age:
    - {kind: bucketised, quantiles: 5, missing: drop}
    - {kind: numeric, missing: zero}
  price: {kind: bucketised, decimal: ",", thousands: ".", percent: true, edges: [-1234567, 0, 12], missing: none}
  city: {kind: categorical, missing: none}
  zone: {kind: numeric, missing: 2.5, indicator: true}
crossed:
  - {of: [age, price], bits: 3, seed: 3, missing: none}
  - {of: [price, age], bits: 2, missing: error}
"""
DATES = """
columns:
  age: {kind: numeric, missing: zero}
  when: {kind: date, format: ["%d.%m.%Y", iso], parts: [weekday, days, hour, year, quarter], missing: category}
"""
EPOCHS = """
columns:
  age: {kind: numeric, missing: zero}
  since:
    - kind: date
      format: unix-ms
      parts: [day, weekday, month, days, year, hour, quarter]
      since: "2001-02-03"
      missing: category
"""
LIBSVM: dict[str, Any] = {"columns": ()}
CASES = {
    "linear": Case("squared", _number),
    "linear, without intercept": Case("squared", _count, trained={"intercept": False}),
    "logistic, missing values": Case("logistic", _two, packed=ZERO, unknown=True, missing=True),
    "logistic, refusing": Case("logistic", _two, packed={"missing": "value:40.5"}, missing=True),
    "logistic, offsets": Case(
        "logistic", _two, columns=("age", "city", "exposure"), packed={"offset_column": "exposure"}
    ),
    "logistic, German numbers": Case("logistic", _two, packed={"decimal": ",", "thousands": ".", "delimiter": ";"}),
    "softmax": Case("softmax", _three, packed={"missing": "zero"}, unknown=True, missing=True),
    "poisson, offsets": Case(
        "poisson", _count, columns=("age", "zone", "exposure"), packed={"offset_column": "exposure"}
    ),
    "gamma": Case("gamma", _amount),
    "gamma, inverse": Case("gamma:link=inverse", _amount, columns=("zone",), trained={"l2": 0.1}),
    "inverse gaussian": Case("inverse_gaussian", _amount, columns=("zone",), trained={"l2": 0.1}),
    "huber": Case("huber:delta=1", _number),
    "squared hinge": Case("squared_hinge", _two),
    "probit": Case("probit", _two),
    "cloglog": Case("cloglog", _two),
    "schema file, keeping rows": Case("logistic", _two, columns=MADE, schema=KEEPING, unknown=True, missing=True),
    "schema file, refusing rows": Case("softmax", _three, columns=MADE, schema=REFUSING, missing=True),
    "schema file, in words": Case("softmax", _three, columns=TOLD, schema=TOLD_KEEPING, unknown=True, missing=True),
    "schema file, in words, refusing": Case(
        "logistic", _two, columns=TOLD, schema=TOLD_REFUSING, missing=True, numbers=("age", "price", "zone")
    ),
    "schema file, dates": Case("squared", _number, columns=("age", "when"), schema=DATES, missing=True),
    "schema file, epochs": Case("logistic", _two, columns=("age", "since"), schema=EPOCHS, missing=True),
    "libsvm": Case("logistic", _two, **LIBSVM),
    "libsvm, sparse coefficients": Case("logistic", _two, **LIBSVM, trained={"l1": 0.02}, unknown=True),
    "libsvm, softmax": Case("softmax", _three, **LIBSVM),
    "libsvm, few of many features": Case("logistic", _two, **LIBSVM, n_features=3_000_000),
}


@dataclass(frozen=True)
class Trained:
    """A published model, rows as text, and what `mr-ml predict` says of them.

    Attributes
    ----------
    unseen
        What exports are told of features that the model does not know.
    text
        Rows to predict.
    rows
        The same by column; of libsvm rows by feature id.
    values
        Predicted values of each row; None for a row that is refused.
    labels
        Predicted labels, "" without classes.
    lines
        What `mr-ml predict` wrote.
    """

    case: str
    root: Root
    name: str
    unseen: dict[str, Any]
    text: str
    rows: Rows
    values: list[list[float] | None]
    labels: list[str]
    lines: list[str]

    @property
    def is_libsvm(self) -> bool:
        return not self.text.startswith(("age", "zone", '"'))


def train(name: str, folder: Path) -> Trained:
    """Pack rows, train the model of a case, and predict other rows."""
    case = CASES[name]
    root = mr_ml.open_root(str(folder / "root"))
    train_text, _ = _text(case, 400, seed=1, fresh=False)
    text, rows = _text(case, 120, seed=2, fresh=True)
    suffix = "csv" if case.columns else "libsvm"
    (folder / f"train.{suffix}").write_text(train_text, encoding="utf-8")
    (folder / f"new.{suffix}").write_text(text, encoding="utf-8")
    categorical: dict[str, Any] = {"categorical": ["zone"]} if "zone" in case.columns else {}
    if case.schema:
        (folder / "schema.yaml").write_text(case.schema, encoding="utf-8")
        categorical = {"schema": folder / "schema.yaml", "max_bad_rows": 400}
    mr_ml.pack(root, folder / f"train.{suffix}", "rows", **categorical, **case.packed)
    options = {"l2": 0.01, "max_passes": 40, **case.trained}
    mr_ml.train(root, "rows", "model", loss=case.loss, **options)
    unseen: dict[str, Any] = {"unseen": "ignore"} if case.unknown else {}
    mr_ml.predict(root, "model", folder / f"new.{suffix}", folder / "predictions", max_bad_rows=len(rows), **unseen)
    lines = (folder / "predictions").read_text(encoding="utf-8").split("\n")[:-1]
    header = lines.pop(0) if case.columns else ""
    values: list[list[float] | None] = []
    labels = []
    has_label = "\t" in (header or lines[0])
    for line in lines:
        fields = line.split("\t")
        values.append(list(map(float, fields[1:] if has_label else fields)) if line else None)
        labels.append(_unescaped(fields[0]) if line and has_label else "")
    return Trained(name, root, "model", unseen, text, rows, values, labels, [*([header] if header else []), *lines])


def _unescaped(label: str) -> str:
    return label.replace("\\\\", "\\")


def _text(case: Case, n: int, *, seed: int, fresh: bool) -> tuple[str, Rows]:
    rng = np.random.default_rng(seed)
    return _csv(case, n, rng, fresh=fresh) if case.columns else _libsvm(case, n, rng, fresh=fresh)


def _csv(case: Case, n: int, rng: np.random.Generator, *, fresh: bool) -> tuple[str, Rows]:
    out = io.StringIO()
    writer = csv.DictWriter(
        out, [*case.columns, "label"], delimiter=case.packed.get("delimiter", ","), lineterminator="\n"
    )
    writer.writeheader()
    rows = []
    for i in range(n):
        age, city, zone = float(rng.normal(40, 12)), int(rng.integers(len(CITIES))), int(rng.integers(1, 5))
        exposure, far = float(rng.normal() / 4), 1.7e9 + float(rng.normal()) * 1e3
        z = (age - 40) / 12 + city / 3 - zone / 4 + (far - 1.7e9) / 3e3
        whole = {
            "age": repr(age),
            "far": repr(far),
            "city": CITIES[city],
            "zone": f"{zone}",
            "exposure": repr(exposure),
        }
        if case.schema:
            whole |= _fields_to_be_made(rng, case.columns, fresh=fresh)
        if case.packed.get("decimal") == ",":
            for name in ("age", "far"):
                whole[name] = f"{float(whole[name]):,.9f}".translate(str.maketrans(",.", ".,"))
        if case.missing and rng.random() < 0.3:
            whole[str(rng.choice(["age", "city"]))] = str(rng.choice(MISSING))
        if fresh:
            if rng.random() < 0.2:
                whole["zone"] = (f"{zone}.0", f"+{zone}", f"{zone}.")[int(rng.integers(3))]
            if rng.random() < 0.1:
                whole["city"] = str(rng.choice(["Atlantis", "berlin"]))
            if rng.random() < 0.1:
                whole["age"] = ""
        row = {name: whole[name] for name in case.columns}
        writer.writerow({**row, "label": case.label(rng, z) if not fresh or i % 2 else ""})
        rows.append(row)
    return out.getvalue(), rows


# what no model has seen, means no value, is no number or no date, or is spelled in another way
ODD = {
    "age": ("33.5", "-0", "1e400", "NaN", "1,5", " 20\t", "inf", "+6.E1", "20", "60.0", "0", "1e300", "-1e290"),
    "price": ("1.234,5", "-1.234.567", "12 %", ",5", "1,", "1.23", "5e1", "5e1%", "NaN", "0", "12", "1200 %"),
    "city": ("<missing>", "berlin", "NA", "0", " x y "),
    "zone": ("3.00", "+2", "-0", "5", "02", "NA", "1."),
    "agent": ("a" * 256, "a" * 257, "é" * 200, "12345678", "123456789", "'\"\\\u2028", "?"),
    "when": ("29.02.2023", "29.02.2024", "2024-02-30", "2024-02-29T23:59", "2024-02-29 23:59:59.1Z", "0001-01-01",
             "9999-12-31", "2024-02-29T24:00", "2024-02-29T23:59:59.", "2024-02-29Z", "1.1.2024", "\u0661.01.2024"),
    "since": ("-1", "-62135596800000", "-62135596800001", "253402300799999", "253402300800000", "1e300", "1.5", "x"),
    "note": ("Straße İstanbul ΣΑΣ", "a a a b", "!!!", "a_b c'd \u0130", "the\u00a0end", "东京 2024", "NA", "X" * 300),
}  # fmt: skip


def _fields_to_be_made(rng: np.random.Generator, columns: tuple[str, ...], *, fresh: bool) -> dict[str, str]:
    """Fields for the columns of `MADE`, without those of all cases; some that are odd."""
    words = ("red", "Green", "blue", "grün", "x1", "the", "end")
    price, days = float(rng.normal() * 2000), int(rng.integers(0, 900))
    day = np.datetime64("2023-01-01") + days
    year, month, of_month = str(day).split("-")
    whole = {
        "price": f"{price:,.2f}".translate(str.maketrans(",.", ".,")),
        "agent": f"agent {int(rng.integers(60))}",
        "when": (f"{of_month}.{month}.{year}", f"{day}T{int(rng.integers(24)):02d}:30")[int(rng.integers(2))],
        "since": repr(1e12 + days * 86_400_000 + int(rng.integers(10**8))),
        "note": " ".join(rng.choice(words, int(rng.integers(0, 6)))),
    }
    for name in whole:
        if rng.random() < 0.08:
            whole[name] = str(rng.choice(MISSING))
    if fresh and rng.random() < 0.7:
        name = str(rng.choice([name for name in ODD if name in columns]))
        whole[name] = str(rng.choice(ODD[name]))
    return whole


def _libsvm(case: Case, n: int, rng: np.random.Generator, *, fresh: bool) -> tuple[str, Rows]:
    lines, rows = [], []
    ids = sorted({1, case.n_features, *np.random.default_rng(9).integers(1, case.n_features + 1, 30).tolist()})
    codes = {"yes": "1", "no\\ 'not'": "-1", "low": "0", "it's mid": "1", 'high"est': "2"}
    for i in range(n):
        values = {j: float(rng.normal()) for j in ids if rng.random() < 0.4 or (i == 0 and j == case.n_features)}
        z = sum(value * math.sin(j) for j, value in values.items()) * 2
        if fresh and case.unknown and i % 7 == 0:
            values[case.n_features + 5] = 1.5
        row = {str(j): repr(value) for j, value in values.items()}
        label = codes[case.label(rng, z)]
        lines.append(" ".join([label, *(f"{j}:{value}" for j, value in row.items())]))
        rows.append(row)
    return "\n".join(lines) + "\n", rows


def close(found: list[float], expected: list[float], *, to: float = 1e-12) -> bool:
    """Whether values are the same but for rounding."""
    return all(a == b or abs(a - b) <= to * max(1.0, abs(b)) for a, b in zip(found, expected, strict=True))


def columns_of(trained: Trained) -> list[str]:
    """Names of the columns of a table of the rows."""
    names = dict.fromkeys(name for row in trained.rows for name in row)
    if trained.is_libsvm:
        model = mr_ml.load_model(trained.root, trained.name)
        names |= dict.fromkeys(model.schema.name_of(j) for j in model.formula().features.tolist())
    return list(names)
