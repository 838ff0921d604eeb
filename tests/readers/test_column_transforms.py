"""What each transform makes of fields, by other programs, closed forms and exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from schema_files import table, under

from mr_ml.errors import BadDataError
from mr_ml.readers.transforms.seen import ExactSum, Texts

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@given(values=st.lists(DOUBLES, min_size=1, max_size=30), cut=st.integers(0, 30))
def test_sums_are_exact_whatever_the_order(values: list[float], cut: int) -> None:
    one, two = (ExactSum.of(np.array(part, np.float64)) for part in (values[:cut], values[cut:]))
    whole = ExactSum.of(np.array(values[::-1], np.float64))
    assert one + two == two + one == whole
    exact = sum(map(Fraction, values), Fraction())
    assert Fraction(int(whole.units, 16), 2**1074) == exact
    # the mean of doubles is never beyond them; a fraction becomes the nearest double
    assert whole.mean(len(values)) == float(exact / len(values))


def test_many_values_of_one_exponent_do_not_overflow() -> None:
    values = np.full(1 << 16, -np.nextafter(2.0, 1.0))
    assert ExactSum.of(values).mean(len(values)) == values[0]


def test_texts_are_a_set_up_to_a_size() -> None:
    one, two = Texts.of({"b", "a"}, 3), Texts.of({"a", "c"}, 3)
    assert (one + two).known == ("a", "b", "c")
    assert (one + two + Texts.of({"d"}, 3)).known is None
    assert (Texts.of({"a", "b", "c", "d"}, 3) + one).known is None


# numbers


def test_a_column_writes_its_numbers_as_it_likes(tmp_path: Path) -> None:
    """Beside one that writes them otherwise; pandas reads each with its own marks."""
    text = "p;q;r;label\n1.234,5;12%;7;1\n-0,25;3;1_000;0\n1.000.000;-40 %;.5;1\n"
    found = table(
        tmp_path,
        'delimiter: ";"\ncolumns:\n  p: {kind: numeric, decimal: ",", thousands: "."}\n'
        "  q: {kind: numeric, percent: true}\n  r: {kind: numeric, thousands: _}\n",
        text,
    )
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    theirs = pd.read_csv(tmp_path / "rows.csv", sep=";", decimal=",", thousands=".", usecols=["p"])
    assert found.column("p") == theirs["p"].tolist()
    assert found.column("q") == [0.12, 3.0, -0.4]
    assert found.column("r") == [7.0, 1000.0, 0.5]
    refused = under(found.schema, "1,5;12;7;1\n1.5;12;7;1\n1;1.5;1,5;1\n").parsed
    assert refused.bad_counts == {"decimal_mark": 2}


def test_all_columns_write_their_numbers_as_the_file_says(tmp_path: Path) -> None:
    text = "p;q;label\n1,5;2.5;1\n2,5;1.5;0\n"
    found = table(
        tmp_path,
        'delimiter: ";"\ndecimal: ","\ncolumns: {p: {kind: numeric, missing: zero}, q: {kind: numeric, decimal: "."}}',
        text,
    )
    assert found.x.tolist() == [[1.5, 2.5], [2.5, 1.5]]


def test_the_mean_is_that_of_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = [None if rng.random() < 0.3 else round(float(v), 3) for v in rng.normal(50, 20, 500)]
    text = "age,label\n" + "".join(f"{'' if v is None else v},{k % 2}\n" for k, v in enumerate(values))
    found = table(tmp_path, "columns: {age: {kind: numeric, missing: mean, indicator: true}}", text)
    theirs = pd.Series(values, dtype="float64")
    mean = math.fsum(theirs.dropna()) / theirs.count()
    np.testing.assert_array_equal(found.column("age"), theirs.fillna(mean))
    assert found.column("age=<missing>") == theirs.isna().astype(float).tolist()
    # of rows that come later it is the same one
    assert under(found.schema, ",1\n5,0\n").x.tolist() == [[mean, 1.0], [5.0, 0.0]]
    # and those say how many had none
    assert found.parsed.missing == {"age": int(theirs.isna().sum())}


def test_markers_mean_no_number(tmp_path: Path) -> None:
    text = "a,label\nNA,1\n-,0\n,1\n3,0\n"
    assert table(tmp_path, "columns: {a: {kind: numeric, missing: 9}}", text).column("a") == [9, 9, 9, 3]
    found = table(tmp_path, 'columns: {a: {kind: numeric, missing: 9}}\nmissing_markers: ["3"]', "a,label\n3,1\n4,0\n")
    assert found.column("a") == [9, 4]


def test_a_mean_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="expected numbers in column 'a', to learn their mean, found none"):
        table(tmp_path, "columns: {a: {kind: numeric, missing: mean}}", "a,label\n,1\n,0\n")


# categories


def test_categories_are_those_of_pandas(tmp_path: Path) -> None:
    cities = ["Bern", "", "Genf", "Bern", "Zug", "NA"]
    text = "city,label\n" + "".join(f"{city},{k % 2}\n" for k, city in enumerate(cities))
    found = table(tmp_path, "columns: {city: {kind: categorical, missing: category}}", text)
    theirs = pd.get_dummies(pd.Series([c if c not in ("", "NA") else "<missing>" for c in cities]), dtype=float)
    assert found.names == [f"city={value}" for value in sorted(theirs.columns)]
    np.testing.assert_array_equal(found.x, theirs[sorted(theirs.columns)])
    none = table(tmp_path, "columns: {city: {kind: categorical, missing: none}}", text)
    assert none.names == ["city=Bern", "city=Genf", "city=Zug"]
    np.testing.assert_array_equal(none.x, theirs[["Bern", "Genf", "Zug"]])


def test_categories_that_were_not_there(tmp_path: Path) -> None:
    text = "city,label\nBern,1\nGenf,0\n"
    strict = table(tmp_path, "columns: {city: {kind: categorical, missing: category}}", text)
    assert under(strict.schema, "Zug,1\nBern,1\n,0\n").parsed.bad_counts == {"unseen_value": 2}
    free = table(tmp_path, "columns: {city: {kind: categorical, missing: none}}\nunseen: ignore", text)
    later = under(free.schema, "Zug,1\nBern,1\n,0\n")
    assert later.x.tolist() == [[0, 0], [1, 0], [0, 0]]
    assert (later.parsed.n_unseen, later.parsed.bad_counts) == (1, {})


def test_whole_numbers_are_the_same_however_they_are_spelled(tmp_path: Path) -> None:
    found = table(tmp_path, "columns: {k: {kind: categorical, missing: none}}", "k,label\n1,1\n1.0,0\n2,1\n2.,0\n")
    assert found.names == ["k=1", "k=2"]
    assert found.x.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_too_many_categories(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"expected at most 2 categories .* in column 'c', found more"):
        table(tmp_path, "columns: {c: {kind: categorical, max_categories: 2}}", "c,label\na,1\nb,0\nc,1\n")
