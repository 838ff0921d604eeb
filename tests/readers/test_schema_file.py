"""The schema file: it says what options would say, what is wrong is said at once, and its JSON Schema agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml  # type: ignore[import-untyped]
from commands import Commands
from schema_files import table

import mr_ml
from mr_ml.errors import BadDataError, NotFoundError, UsageError
from mr_ml.exports.scorer import Scorer
from mr_ml.readers.transforms.registry import TRANSFORMS
from mr_ml.settings import table_schema
from mr_ml.settings.table_file import read_table

CHECKOUT = Path(__file__).resolve().parents[2]


def read(folder: Path, text: str, **said: Any) -> dict[str, Any]:
    path = folder / "schema.yaml"
    path.write_text(text, encoding="utf-8")
    return read_table(str(path), said=said)


FAULTS = [
    ("lable: x", ['1: lable: unknown key; did you mean "label"?']),
    ('delimiter: ";;"', ["1: delimiter: expected one ASCII character", "or tab, found ';;'"]),
    ("delimiter: a\nheader: yess", ["1: delimiter: expected one", "2: header: expected true or false, found yess"]),
    # text or a whole number, in either order
    ("label: [x]", ["1: label: expected ", "a whole number", "found a list"]),
    ("columns: [age]", ['1: columns: expected lines "key: value", found a list']),
    ("columns:\n  age: numric", ['2: columns.age: numric is no kind of column; did you mean "numeric"?']),
    ("columns:\n  age: 3", ["2: columns.age: expected one of "]),
    ("columns:\n  age:", ["2: columns.age: expected one of "]),
    ("columns:\n  age: []", ["2: columns.age: expected what the column is, found an empty list"]),
    ("columns:\n  age: {missing: mean}", ['2: columns.age: expected the key "kind", found none']),
    ("columns:\n  age: {kind: [numeric]}", ["2: columns.age: expected one of "]),
    (
        "columns:\n  age: {kind: numeric, indicatr: true}",
        ['2: columns.age.indicatr: unknown key; did you mean "indicator"?'],
    ),
    ("columns:\n  age: {kind: numeric, learnt: 3}", ["2: columns.age.learnt: unknown key; "]),
    ("columns:\n  age: {kind: numeric, column: a}", ["2: columns.age.column: unknown key; "]),
    (
        "columns:\n  age: {kind: numeric, missing: maen}",
        [
            "2: columns.age.missing: expected one of 'error', 'drop', 'zero', 'mean'",
            'did you mean "mean"?',
        ],
    ),
    ("columns:\n  age: {kind: numeric, missing: .nan}", ["2: columns.age.missing: .nan is no finite number"]),
    ("columns:\n  age: {kind: numeric, indicator: yes}", ["2: columns.age.indicator: yes is yes or no to some"]),
    (
        'columns:\n  age: {kind: numeric, thousands: ","}\n  b: {kind: numeric, decimal: ",", thousands: ","}',
        ["3: columns.b: expected "],
    ),
    ("columns:\n  age: [numeric, {kind: categorical, missing: men}]", ["2: columns.age[1].missing: expected one of"]),
    ("columns:\n  a: {kind: bucketised}", ['2: columns.a: expected "edges" or "quantiles", found neither']),
    ("columns:\n  a: {kind: bucketised, edges: [2, 1]}", ['2: columns.a: "edges": expected numbers that ascend']),
    ("columns:\n  a: {kind: bucketised, edges: [1, x]}", ["2: columns.a.edges: [1]: expected a number, found 'x'"]),
    ("columns:\n  a: {kind: hashed, bits: 21}", ["2: columns.a.bits: expected a number of at most 20, found 21"]),
    ("columns:\n  a: {kind: date}", ['2: columns.a: expected the key "parts", found none']),
    ("columns:\n  a: {kind: date, parts: [wekday]}", ["2: columns.a.parts: [0]: expected one of 'weekday'"]),
    ("columns:\n  a: {kind: date, parts: [day], format: '%d/%y'}", ['2: columns.a: "format": expected ']),
    ("columns:\n  a: {kind: date, parts: [day], since: 2020-01-01}", ["2: columns.a.since: 2020-01-01 is a date to"]),
    ("columns:\n  a: {kind: text, ngrams: [2, 1]}", ['2: columns.a: "ngrams": expected the shortest and the longest']),
    ("columns:\n  a: {kind: text, ngrams: 2}", ["2: columns.a.ngrams: expected a list of 2, found 2"]),
    ("columns:\n  a: {kind: text, weights: tfidf}", ["2: columns.a.weights: expected one of", 'mean "tf-idf"?']),
    ("columns:\n  a: {kind: crossed}", ["2: columns.a: crossed is no kind of column"]),
    ("crossed: {of: [a, b]}", ["1: crossed: expected a list, found keys and values"]),
    ("crossed:\n- of: [a]", ["2: crossed[0].of: expected a list of two columns or more"]),
    ("crossed:\n- {of: [a, b], bit: 3}", ['2: crossed[0].bit: unknown key; did you mean "bits"?']),
    ("crossed:\n- {bits: 3}", ['2: crossed[0]: expected the key "of", found none']),
    ("others: detct", ["1: others: expected one of 'detect', 'numeric', 'drop'", 'did you mean "detect"?']),
    ('decimal: ","\nthousands: ","', ['2: thousands: expected "thousands" to be one of']),
    ("missing: maybe", ["1: missing: expected one of 'error', 'drop', 'zero' or a number, found maybe"]),
    ("label: a\nlabel: b", ["2: label: expected once, found again"]),
    ("label: ${X}", ["1: label: expected an environment variable X"]),
    ("- label", ['1: expected lines "key: value", found a list']),
]


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_what_is_wrong_is_said_by_line_and_key(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    for part in expected:
        assert part in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'schema.yaml'}:{expected[0].partition(' ')[0]}")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    chosen = "lable: x\ncolumns:\n  age: {kind: numeric, mising: 1}\n  b: text_\nothers: 3"
    with pytest.raises(UsageError) as caught:
        read(tmp_path, chosen)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "3", "4", "5"]


def test_what_an_option_says_the_file_does_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`label_column`: expected once, found it in .*:1: label too"):
        read(tmp_path, "label: a", label_column="b")
    with pytest.raises(UsageError, match=r"`split_by`: expected once, found it in .*:1: group too"):
        read(tmp_path, "group: a", split_by="b")
    with pytest.raises(NotFoundError, match=r"docs/schema.md"):
        read_table(str(tmp_path / "none.yaml"), said={})


ROWS = "c,a,w,o,q,d,label\n" + "".join(
    f"{'xyz'[i % 3]},{i / 7},{1 + i % 2},{i % 5},{i % 11},{i},{i * i % 3}\n" for i in range(200)
)


def test_what_options_say_too_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Columns by options, by the schema file, and by transforms that do the same: the same partitions."""
    (tmp_path / "rows.csv").write_text(ROWS.replace(",0.0,", ",,"), encoding="utf-8")
    said = "weight: w\noffset: o\ngroup: q\ndrop: d\nlabel: label\nmissing: 0.25\n"
    (tmp_path / "plain.yaml").write_text(said + "columns: {c: categorical, a: numeric}", encoding="utf-8")
    made = "columns: {c: {kind: categorical, missing: category}, a: {kind: numeric, missing: 0.25}}"
    (tmp_path / "made.yaml").write_text(said + made, encoding="utf-8")
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    common = ("pack", tmp_path / "rows.csv", "--to", "d", "--split", "train=0.7,test=0.3", "--folds", "2")
    mr_ml(
        *common, "--weight-column", "w", "--offset-column", "o", "--split-by", "q", "--drop", "d",
        "--categorical", "c", "--numeric", "a", "--missing", "value:0.25", "--label-column", "label",
    )  # fmt: skip
    mr_ml(*common, "--schema", tmp_path / "plain.yaml")
    mr_ml(*common, "--schema", tmp_path / "made.yaml")
    hashes = [mr_ml.partition_hashes(f"d@{k}") for k in (1, 2, 3)]
    assert hashes[0] == hashes[1] == hashes[2]
    one, two, three = (mr_ml.manifest(f"d@{k}")["schema"] for k in (1, 2, 3))
    assert one == two
    assert three["feature_names"] == one["feature_names"] == ["c=x", "c=y", "c=z", "a"]
    assert len(three["transforms"]) == 2


def test_other_columns(tmp_path: Path) -> None:
    text = "a,b,id,label\n1,x,7,0\n2,y,8,1\n"
    found = table(tmp_path, "id: id\ncolumns: {a: categorical}", text)
    assert found.names == ["a=1", "a=2", "b=x", "b=y"]
    assert table(tmp_path, "id: id\nothers: drop\ncolumns: {a: numeric}", text).names == ["a"]
    with pytest.raises(BadDataError, match="expected a CSV row"):
        table(tmp_path, "id: id\nothers: numeric\ncolumns: {a: numeric}", text)
    assert table(tmp_path, "id: [id, -2]\nothers: drop\ncolumns: {a: [numeric, categorical]}", text).names == [
        "a",
        "a=1",
        "a=2",
    ]


def test_columns_that_are_not_there_or_are_something_else(tmp_path: Path) -> None:
    text = "age,b,label\n1,x,0\n"
    with pytest.raises(UsageError, match=r"expected the name of a column, found 'aeg', did you mean 'age'|'aeg'"):
        table(tmp_path, "columns: {aeg: {kind: numeric, missing: mean}}", text)
    with pytest.raises(UsageError, match="expected one use of column 'label', found two: as label and as numeric"):
        table(tmp_path, "columns: {label: {kind: numeric, missing: mean}}", text)


# JSON Schema


VALIDATOR = jsonschema.Draft202012Validator(json.loads(table_schema.FILE.read_text(encoding="utf-8")))


def test_the_schema_that_is_shipped_is_that_of_the_transforms() -> None:
    assert json.loads(table_schema.FILE.read_text(encoding="utf-8")).keys() == table_schema.schema().keys()
    assert table_schema.FILE.read_text(encoding="utf-8") == table_schema.text(), (
        "write it anew: python -m mr_ml.settings.table_schema"
    )
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


# what depends on several keys, or on how YAML is written, it cannot know
BEYOND_A_SCHEMA = (
    "thousands",
    "delimiter",
    "label: b",
    "yes",
    ".nan",
    "${",
    "{kind: bucketised}",
    "[2, 1]",
    "%d/%y",
    "since: 2020",
    "[2, 1]",
)


@pytest.mark.parametrize("text", [text for text, _ in FAULTS if not any(part in text for part in BEYOND_A_SCHEMA)])
def test_the_schema_refuses_what_is_refused(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(yaml.safe_load(text))


def guide_examples() -> list[str]:
    blocks = (CHECKOUT / "docs" / "schema.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    return [block.partition("```")[0] for block in blocks]


@pytest.mark.parametrize("text", guide_examples())
def test_the_examples_of_the_guide_are_right(tmp_path: Path, text: str) -> None:
    VALIDATOR.validate(yaml.safe_load(text))
    read(tmp_path, text)


def test_the_guide_has_every_key() -> None:
    guide = (CHECKOUT / "docs" / "schema.md").read_text(encoding="utf-8")
    schema = table_schema.schema()
    for key in schema["properties"]:
        assert f"`{key}`" in guide
    for kind in map(TRANSFORMS.get, TRANSFORMS.built_in):
        _, _, rest = guide.partition(f"`kind: {kind.written}`" if kind.section == "columns" else f"## `{kind.section}`")
        section = rest.partition("\n##")[0]
        for key in schema["$defs"][kind.written]["properties"].keys() - {"kind"}:
            assert f"`{key}`" in section, (kind.written, key)


def test_parquet_is_packed_to_the_same_bytes(tmp_path: Path) -> None:
    """By the same schema file, but for how text is written; columns that are dropped and read nonetheless, too."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "age": [3.5, None, 7.0, 1.25],
            "city": ["Bern", None, "Genf", "Bern"],
            "k": [1, 2, 3, 4],
            "label": [0, 1, 0, 1],
        }
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    (tmp_path / "schema.yaml").write_text(
        "id: k\ndrop: age\ncolumns:\n  age: {kind: numeric, missing: mean, indicator: true}\n"
        "  city: {kind: categorical, missing: category}\n",
        encoding="utf-8",
    )
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    for name in ("rows.csv", "rows.parquet"):
        mr_ml("pack", tmp_path / name, "--to", "d", "--schema", tmp_path / "schema.yaml")
    assert mr_ml.partition_hashes("d@1") == mr_ml.partition_hashes("d@2")
    one, two = (mr_ml.manifest(f"d@{k}")["schema"] for k in (1, 2))
    assert one["transforms"] == two["transforms"]
    assert one["feature_names"] == ["age", "age=<missing>", "city=<missing>", "city=Bern", "city=Genf"]


def test_quantiles_of_a_sample_are_the_same_in_all_formats(tmp_path: Path) -> None:
    """Whatever is dropped, and in whatever order columns stand."""
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(3)
    n = 12_000
    real = rng.normal(size=n) * 10.0 ** rng.integers(-7, 13, n)
    frame = pd.DataFrame(
        {
            "k": np.arange(n),
            "price": real,
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n).round(4) * 1000),
            "city": rng.choice(["Bern", "Genf", "a, b"], n),
            "unused": rng.normal(size=n),
            "label": np.arange(n) % 2,
        }
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.assign(unused=7)[["unused", *frame.columns[:4][::-1], "label"]].to_csv(tmp_path / "order.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "schema.yaml").write_text(
        "id: k\ndrop: unused\ncolumns:\n  price: {kind: bucketised, quantiles: 9}\n"
        "  size: {kind: numeric, missing: median}\n  city: {kind: categorical}\n",
        encoding="utf-8",
    )
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    found: list[list[str]] = []
    for name in ("rows.csv", "order.csv", "rows.parquet", "rows.jsonl"):
        mr_ml("pack", tmp_path / name, "--to", "d", "--schema", tmp_path / "schema.yaml")
        transforms = mr_ml.manifest(f"d@{len(found) + 1}")["schema"]["transforms"]
        found.append(sorted(json.dumps({**one, "first": 0}, sort_keys=True) for one in transforms))
    assert found == [found[0]] * 4


def predictions(path: Path) -> list[float]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [float(line.split("\t")[-1]) for line in lines[1:]]


def test_a_whole_session(tmp_path: Path) -> None:
    """Pack, train, predict and --like by a schema file: predictions are those of features made by hand."""
    rng = np.random.default_rng(5)
    ages = [None if rng.random() < 0.2 else int(a) for a in rng.integers(18, 80, 300)]
    prices = rng.integers(100_000, 9_999_999, 300)
    cities = [("Bern", "Genf", "")[k] for k in rng.integers(0, 3, 300)]
    y = rng.normal(size=300)
    lines = ["order;age;price;city;y"]
    for k, (age, price, city) in enumerate(zip(ages, prices.tolist(), cities, strict=True)):
        whole = f"{price // 100_000}.{price // 100 % 1000:03d},{price % 100:02d}"
        lines.append(f"{k};{'' if age is None else age};{whole};{city};{float(y[k])!r}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "schema.yaml").write_text(
        'label: y\nid: order\ndelimiter: ";"\ncolumns:\n  age: {kind: numeric, missing: mean, indicator: true}\n'
        '  price: {kind: numeric, decimal: ",", thousands: "."}\n  city: {kind: categorical, missing: category}\n',
        encoding="utf-8",
    )
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    packed = mr_ml("pack", tmp_path / "rows.csv", "--to", "d", "--schema", tmp_path / "schema.yaml")
    assert packed["n_features"] == 6
    mr_ml("train", "d", "--model", "m", "--loss", "squared", "--l2", "0.01")
    mr_ml("predict", "m", tmp_path / "rows.csv", "--to", tmp_path / "out")
    given = np.array([age for age in ages if age is not None])
    x = np.array([
        [given.mean() if age is None else age, age is None, price / 100, city == "", city == "Bern", city == "Genf"]
        for age, price, city in zip(ages, prices.tolist(), cities, strict=True)
    ], np.float64)  # fmt: skip
    coef = mr_ml.coef("m")
    expected = x @ coef.coef[0] + coef.intercept[0]
    predicted = predictions(tmp_path / "out")
    np.testing.assert_allclose(predicted, expected, rtol=1e-12, atol=1e-12)

    # other rows, in other columns, without ids and labels
    (tmp_path / "new.csv").write_text("city;more;price;age\nGenf;x;1.000,5;\n;y;2;40\n", encoding="utf-8")
    mr_ml("predict", "m", tmp_path / "new.csv", "--to", tmp_path / "new")
    x = np.array([[given.mean(), 1, 1000.5, 0, 0, 1], [40, 0, 2, 1, 0, 0]])
    predicted = predictions(tmp_path / "new")
    np.testing.assert_allclose(predicted, x @ coef.coef[0] + coef.intercept[0], rtol=1e-12)

    mr_ml("pack", tmp_path / "rows.csv", "--to", "again", "--like", "d")
    assert mr_ml.partition_hashes("again@1") == mr_ml.partition_hashes("d@1")
    refused = mr_ml.run("pack", tmp_path / "rows.csv", "--to", "x", "--like", "d", "--schema", tmp_path / "schema.yaml")
    assert refused.code == 2
    assert "--like" in refused.err


def test_means_are_of_the_training_files_where_the_split_goes_by_file(tmp_path: Path) -> None:
    """So are quantiles and frequencies; which categories there are is of all files."""
    rng = np.random.default_rng(3)
    for name, n, more in (("old", 50, 0.0), ("new", 30, 1000.0)):
        values = (rng.normal(size=n) + more).round(3).tolist()
        rows = [f"{value},{name},word {name}{k % 3},{k % 2}" for k, value in enumerate(values)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,c,t,label", *rows, ",old,,1", ""]), encoding="utf-8")
    (tmp_path / "schema.yaml").write_text(
        "columns:\n  a: [{kind: numeric, missing: mean}, {kind: bucketised, quantiles: 3, missing: none}]\n"
        "  c: {kind: categorical, missing: category}\n  t: {kind: text, weights: tf-idf, bits: 5}\n",
        encoding="utf-8",
    )
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    schema = ("--to", "d", "--schema", tmp_path / "schema.yaml")
    mr_ml("pack", *schema, "--split-inputs", f"train={tmp_path}/old.csv", "--split-inputs", f"test={tmp_path}/new.csv")
    mr_ml("pack", *schema, tmp_path / "old.csv")
    mr_ml("pack", *schema, tmp_path / "old.csv", tmp_path / "new.csv")
    split, old, both = (mr_ml.manifest(f"d@{k}")["schema"]["transforms"] for k in (1, 2, 3))
    by_kind = [{one["transform"]["kind"]: one["transform"]["learnt"] for one in found} for found in (split, old, both)]
    for kind in ("quantity", "bucketised", "words"):
        assert by_kind[0][kind] == by_kind[1][kind] != by_kind[2][kind], kind
    assert by_kind[0]["category"] == by_kind[2]["category"] == ["new", "old"]


def test_models_predict_data_frames_and_are_exported_as_what_can_say_it(tmp_path: Path) -> None:
    """A frame has numbers and dates where the text had them as it likes."""
    rng = np.random.default_rng(8)
    n = 120
    frame = pd.DataFrame({
        "price": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n).round(3)),
        "age": rng.integers(18, 80, n),
        "city": rng.choice(["Bern", "Genf"], n),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        "note": rng.choice(["a b", "b c c", ""], n),
    })  # fmt: skip
    text = frame.assign(price=frame["price"].map(lambda v: "" if np.isnan(v) else str(v).replace(".", ",")))
    text.assign(label=np.arange(n) % 2).to_csv(tmp_path / "rows.csv", index=False, sep=";")
    (tmp_path / "schema.yaml").write_text(
        'delimiter: ";"\ndrop: [city]\ncolumns:\n'
        '  price: {kind: numeric, decimal: ",", missing: median, indicator: true}\n'
        "  age: {kind: bucketised, quantiles: 3}\n  day: {kind: date, parts: [month, days]}\n"
        "  note: {kind: text, bits: 6, weights: tf-idf}\ncrossed: [{of: [city, age], bits: 4}]\n",
        encoding="utf-8",
    )
    commands = Commands(tmp_path / "root", ("-r", "inline"))
    commands("pack", tmp_path / "rows.csv", "--to", "d", "--schema", tmp_path / "schema.yaml")
    warned = commands("train", "d", "--model", "m", "--loss", "logistic", "--l2", "0.1")["warnings"]
    # of hashes that no row has, there is nothing to say
    assert not any("one number in all rows" in warning and "#" in warning for warning in warned)
    commands("predict", "m", tmp_path / "rows.csv", "--to", tmp_path / "out")
    by_text = predictions(tmp_path / "out")
    by_frame = mr_ml.load("m", root=tmp_path / "root").predict_proba(frame)[:, 1]
    assert by_frame.tolist() == by_text
    for kind in ("onnx", "pmml", "sql"):
        refused = commands.run("export", "m", "-o", tmp_path / "m", "--as", kind)
        assert refused.code == 2
        assert f"the export {kind} can say, found such as it has no words for: city*age (crossed), " in refused.err
        assert "note (text)" in refused.err
        assert not (tmp_path / "m").exists()
    commands("export", "m", "-o", tmp_path / "m.json", "--as", "json")
    alone = Scorer(json.loads((tmp_path / "m.json").read_bytes()))
    values = [alone.values(row)[1] for row in frame.assign(day=frame["day"].dt.date).to_dict("records")]
    np.testing.assert_allclose(values, by_text, rtol=1e-12, atol=0)
