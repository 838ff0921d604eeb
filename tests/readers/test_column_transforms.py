"""What each transform makes of fields, by other programs, closed forms and exact arithmetic."""

from __future__ import annotations

import inspect
import json
import math
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from schema_files import table, under
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import KBinsDiscretizer

from mr_ml.errors import BadDataError
from mr_ml.readers.csv.schema import bind
from mr_ml.readers.schema import Schema
from mr_ml.readers.transforms.logarithm import log
from mr_ml.readers.transforms.registry import TRANSFORMS
from mr_ml.readers.transforms.sample import Sample
from mr_ml.readers.transforms.seen import ExactSum, Texts
from mr_ml.readers.transforms.words import Words

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


@pytest.mark.parametrize("n", [1, 2, 7, 500, 501])
def test_the_median_is_that_of_numpy(tmp_path: Path, n: int) -> None:
    values = np.round(np.random.default_rng(n).normal(0, 1000, n), 2)
    text = "a,label\n,1\n" + "".join(f"{float(v)!r},{k % 2}\n" for k, v in enumerate(values))
    assert table(tmp_path, "columns: {a: {kind: numeric, missing: median}}", text).x[0, 0] == np.median(values)


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


# hashes


def mix(z: int) -> int:
    """SplitMix64's finaliser, in whole numbers."""
    z = (z + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def hashed(text: str) -> int:
    """The hash of a short text: words of eight bytes from the back, mixed in one by one."""
    data = text.encode()
    found = mix((len(data) + 0x9E3779B97F4A7C15) % 2**64)
    for end in range(len(data), 0 if data else -1, -8):
        found = mix(found ^ int.from_bytes(data[max(end - 8, 0) : end], "little"))
    return found


def bucket(key: int, bits: int, seed: int) -> int:
    return mix(key ^ mix(seed)) >> (64 - bits)


def test_hashes_are_what_the_guide_says(tmp_path: Path) -> None:
    texts = ["a", "Bern", "São Paulo", "12345678", "123456789", "", "x" * 200, "日本"]
    text = "agent,label\n" + "".join(f"{agent},{k % 2}\n" for k, agent in enumerate(texts))
    for bits, seed in ((16, 0), (4, 7), (20, 2**40)):
        found = table(
            tmp_path, f"columns: {{agent: {{kind: hashed, bits: {bits}, seed: {seed}, missing: category}}}}", text
        )
        assert found.names[:2] == ["agent#0", "agent#1"]
        assert len(found.names) == 2**bits
        assert [int(row.argmax()) for row in found.x] == [bucket(hashed(agent), bits, seed) for agent in texts]
        assert found.x.sum() == len(texts)


def test_hashes_are_spread_evenly(tmp_path: Path) -> None:
    """Chi-squared of 20,000 texts in 64 features, 99.99 % of the time below 117."""
    text = "k,label\n" + "".join(f"user-{k},{k % 2}\n" for k in range(20_000))
    counts = table(tmp_path, "columns: {k: {kind: hashed, bits: 6}}", text).x.sum(axis=0)
    assert ((counts - 20_000 / 64) ** 2 / (20_000 / 64)).sum() < 117


# intervals


# before 1.7 it interpolated
AVERAGED: dict[str, Any] = (
    {"quantile_method": "averaged_inverted_cdf"}
    if "quantile_method" in inspect.signature(KBinsDiscretizer).parameters
    else {}
)
EDGES = [-2.5, 0, 1, 30.25]


def test_intervals_are_those_of_pandas(tmp_path: Path) -> None:
    values = [-1e300, -2.5, -2.4999, -0.0, 0.5, 1, 30.25, 1e300, None]
    text = "a,label\n" + "".join(f"{'' if v is None else repr(v)},{k % 2}\n" for k, v in enumerate(values))
    found = table(tmp_path, f"columns: {{a: {{kind: bucketised, edges: {EDGES}, missing: category}}}}", text)
    assert found.names == ["a(-inf,-2.5)", "a[-2.5,0)", "a[0,1)", "a[1,30.25)", "a[30.25,inf)", "a[<missing>]"]
    cut = pd.cut(pd.Series(values, dtype="float64"), [-np.inf, *EDGES, np.inf], right=False)
    np.testing.assert_array_equal(found.x, pd.get_dummies(cut, dummy_na=True, dtype=float))


@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_quantiles_are_those_of_scikit_learn(tmp_path: Path, n: int) -> None:
    """Exactly, of up to 8,192 different values, each as often as it comes."""
    rng = np.random.default_rng(n)
    values = np.round(rng.gamma(1.0, 10.0, 2000), 1)
    text = "a,label\n" + "".join(f"{float(v)!r},{k % 2}\n" for k, v in enumerate(values))
    found = table(tmp_path, f"columns: {{a: {{kind: bucketised, quantiles: {n}}}}}", text)
    theirs = np.quantile(values, np.arange(1, n) / n, method="averaged_inverted_cdf")
    assert found.schema.part.transforms[0].transform.learnt == tuple(sorted(set(theirs.tolist())))
    binned = KBinsDiscretizer(n, encode="onehot-dense", strategy="quantile", subsample=None, **AVERAGED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of intervals without a row, which it leaves out
        expected = binned.fit_transform(values[:, None])
    if n < 100 and AVERAGED:
        np.testing.assert_array_equal(found.x, expected)


def test_quantiles_of_many_values_are_near(tmp_path: Path) -> None:
    """Of a sample of 8,192 rows of 40,000: within four standard deviations."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=40_000)
    text = "a,k,label\n" + "".join(f"{float(v)!r},{k},{k % 2}\n" for k, v in enumerate(values))
    found = table(tmp_path, "id: k\ncolumns: {a: {kind: bucketised, quantiles: 10}}", text)
    edges = found.schema.part.transforms[0].transform.learnt
    shares = np.searchsorted(np.sort(values), edges) / len(values)
    assert np.abs(shares - np.arange(1, 10) / 10).max() < 4 * 0.0055
    assert np.abs(found.x.mean(axis=0) - 0.1).max() < 0.03


@given(
    rows=st.lists(st.tuples(st.integers(0, 40), st.sampled_from([-1.5, -0.0, 0.0, 2.0, 7.0])), max_size=60),
    cuts=st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_samples_add_up_in_any_order(rows: list[tuple[int, float]], cuts: tuple[int, int]) -> None:
    def sample(some: list[tuple[int, float]]) -> Sample:
        keys = [key * 2**58 for key, _ in some]
        return Sample.of(np.array(keys, np.uint64), np.array([value for _, value in some], np.float64))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mr_ml.readers.transforms.sample.SIZE", 3)
        low, high = sorted(cuts)
        one, two, three = sample(rows[:low]), sample(rows[low:high]), sample(rows[high:])
        whole = sample(rows[::-1])
        assert one + two + three == three + (two + one) == (two + three) + one == whole
        kept = sorted({(key, value + 0.0) for key, value in rows})[:3]
        assert list(whole.drawn) == [value for _, value in kept]
        assert list(whole.times) == [sum(row == one for row in rows) for one in kept]
        distinct = sorted({value + 0.0 for _, value in rows})
        assert whole.values == (tuple(distinct) if len(distinct) <= 3 else None)


# dates


def test_dates_are_those_of_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    moments = pd.to_datetime(rng.integers(-(10**10), 10**10, 400), unit="s")
    forms = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%fZ"]
    lines = [f"{moment.strftime(forms[k % 4])},{k % 2}" for k, moment in enumerate(moments)]
    parts = "[weekday, day, month, quarter, hour, year, days]"
    file = f"columns: {{t: {{kind: date, parts: {parts}, since: '2020-02-29'}}}}"
    found = table(tmp_path, file, "t,label\n" + "\n".join(lines) + "\n")
    days = (moments - pd.Timestamp("2020-02-29")) / pd.Timedelta(days=1)
    named = {
        "weekday": [("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day] for day in moments.day_of_week],
        "day": moments.day, "month": moments.month, "quarter": moments.quarter, "hour": moments.hour,
    }  # fmt: skip
    for part, values in named.items():
        for row, value in enumerate(values):
            assert found.x[row, found.names.index(f"t.{part}={value}")] == 1
    assert found.column("t.year") == moments.year.tolist()
    assert found.column("t.days") == days.tolist()
    ones = found.x[:, [k for k, name in enumerate(found.names) if "=" in name]]
    assert (ones.sum(axis=1) == 5).all()
    assert len(found.names) == 7 + 31 + 12 + 4 + 24 + 2
    for form, unit, more in (("unix", 1, 0), ("unix-ms", 1000, 999)):
        numbers = "".join(f"{int(m.timestamp()) * unit + more},{k % 2}\n" for k, m in enumerate(moments))
        epoch = table(tmp_path, file.replace("parts", f"format: {form}, parts"), "t,label\n" + numbers)
        np.testing.assert_array_equal(epoch.x, found.x)


def test_dates_as_they_are_written(tmp_path: Path) -> None:
    file = 'columns: {t: {kind: date, format: ["%d.%m.%Y", "%Y%m%d-%H"], parts: [hour, day], missing: none}}'
    found = table(tmp_path, file, "t,label\n31.12.1999,1\n20000229-23,0\n,1\n")
    ones = [[found.names[k] for k in np.flatnonzero(row)] for row in found.x]
    assert ones == [["t.hour=0", "t.day=31"], ["t.hour=23", "t.day=29"], []]
    bad = [
        "30.02.2000", "29.02.1900", "00.01.2000", "1.1.2000", "01.01.200", "01.13.2000", "01-01-2000", "20000101-24",
        "01.01.0000", "01.01.2000x", "x", "\u0661\u0661.01.20", "01.01.20000",
    ]  # fmt: skip
    parsed = under(found.schema, "".join(f"{value},1\n" for value in bad)).parsed
    assert parsed.bad_counts == {"bad_date": len(bad)}
    for text in ("2026-11-26T10:00+01:00", "2026-11-26 10:00:60", "2026-11-26Z", "2026-11-26T10:00:00.", "1e5", "-5"):
        with pytest.raises(BadDataError, match="expected a CSV row"):
            table(tmp_path, "columns: {t: {kind: date, parts: [day]}}", f"t,label\n{text},1\n")
    for text in ("1e300", "nan", "-1e15"):
        with pytest.raises(BadDataError, match="expected a CSV row"):
            table(tmp_path, "columns: {t: {kind: date, format: unix, parts: [day]}}", f"t,label\n{text},1\n")


# crossed


def test_crossed_columns_are_one_feature_for_each_combination(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = [(("Bern", "Genf", "")[rng.integers(3)], int(rng.integers(90)), int(rng.integers(3))) for _ in range(300)]
    text = "city,age,k,label\n" + "".join(f"{city},{age},{k},{n % 2}\n" for n, (city, age, k) in enumerate(rows))
    file = (
        "drop: [city]\ncolumns: {age: {kind: bucketised, edges: [18, 65]}, k: categorical}\n"
        "crossed: [{of: [city, age, k], bits: 18, missing: category}]"
    )
    found = table(tmp_path, file, text)
    first = found.names.index("city*age*k#0")
    crossed = found.x[:, first : first + 2**18]
    assert (crossed.sum(axis=1) == 1).all()
    feature: dict[Any, set[int]] = {}
    for row, (city, age, k) in zip(crossed, rows, strict=True):
        key = (city, (age >= 18) + (age >= 65), k)
        feature.setdefault(key, set()).add(int(row.argmax()))
    assert len(feature) == 27
    # each combination has one, of its own but for chance
    assert all(len(ones) == 1 for ones in feature.values())
    assert len(set().union(*feature.values())) == 27
    assert "city=Bern" not in found.names
    assert "k=0" in found.names
    # what predict reads needs the dropped column
    with pytest.raises(BadDataError, match="city"):
        bind(found.schema, ("age", "k"))


def test_crossed_columns_without_values(tmp_path: Path) -> None:
    text = "a,b,label\nx,1,1\n,1,0\nx,,1\n"
    none = table(tmp_path, "others: drop\ncrossed: [{of: [a, b], bits: 8, missing: none}]", text)
    assert none.x.sum(axis=1).tolist() == [1, 0, 0]
    kept = table(tmp_path, "others: drop\ncrossed: [{of: [a, b], bits: 8, missing: category}]", text)
    assert kept.x.sum(axis=1).tolist() == [1, 1, 1]
    assert len({int(row.argmax()) for row in kept.x}) == 3


# texts


@given(x=st.floats(min_value=5e-324, allow_infinity=False))
def test_logarithms(x: float) -> None:
    found = float(log(np.array([x]))[0])
    with mpmath.workprec(200):
        assert abs(mpmath.log(mpmath.mpf(x)) - found) <= 3 * math.ulp(found)
    assert float(log(np.array([1.0]))[0]) == 0


# what a field of a CSV text may hold, without quotes around it
FIELDS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='",'), max_size=30)


@given(texts=st.lists(FIELDS, min_size=1, max_size=5), shortest=st.integers(1, 3), more=st.integers(0, 2))
@examples(300)
def test_words_are_those_that_python_finds(texts: list[str], shortest: int, more: int) -> None:
    """Of any script, and their runs; the hashes are those of the guide."""
    bits, seed, longest = 10, 3, shortest + more
    asked = Words(column="t", bits=bits, seed=seed, ngrams=(shortest, longest))
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded])
    starts = ends - np.array([len(text) for text in encoded])
    buffer = np.frombuffer(b"".join(encoded), np.uint8)
    rows, features = asked._found(buffer, starts, ends, np.zeros(len(texts), np.bool_))
    expected = []
    for row, text in enumerate(texts):
        words = re.findall(r"\w+", text.lower())
        for length in range(shortest, longest + 1):
            for first in range(len(words) - length + 1):
                run = " ".join(words[first : first + length])
                if len(run.encode()) <= 256:
                    expected.append((row, bucket(hashed(run), bits, seed)))
    assert sorted(zip(rows.tolist(), features.tolist(), strict=True)) == sorted(expected)


NOTES = [
    "The quick brown fox, the lazy dog!", "", "DOG dog dOg_1 dog", "Ärger über Öl; ärger", "x", "the the the", "NA",
    "brown fox", "日本 語 日本",
]  # fmt: skip


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("weights", ["count", "binary", "tf-idf"])
def test_texts_are_those_of_scikit_learn(tmp_path: Path, ngrams: tuple[int, int], weights: str) -> None:
    text = "note,label\n" + "".join(f'"{note}",{k % 2}\n' for k, note in enumerate(NOTES))
    options = f"bits: 18, ngrams: [{ngrams[0]}, {ngrams[1]}], weights: {weights}"
    found = table(tmp_path, f"columns: {{note: {{kind: text, {options}}}}}", text)
    notes = ["" if note == "NA" else note for note in NOTES]
    if weights == "tf-idf":
        theirs = TfidfVectorizer(token_pattern=r"(?u)\w+", ngram_range=ngrams)
    else:
        theirs = CountVectorizer(token_pattern=r"(?u)\w+", ngram_range=ngrams, binary=weights == "binary")
    expected = theirs.fit_transform(notes).toarray()
    places = [bucket(hashed(term), 18, 0) for term in theirs.get_feature_names_out()]
    assert len(set(places)) == len(places)
    np.testing.assert_allclose(found.x[:, places], expected, rtol=1e-14, atol=1e-15)
    assert np.count_nonzero(found.x) == np.count_nonzero(expected)
    assert found.names[places[0]] == f"note#{places[0]}"
    # and of rows that come later
    later = ["dog dog fox", "something else"]
    again = under(found.schema, "".join(f"{note},1\n" for note in later)).x[:, places]
    if weights == "tf-idf":
        # a word that was never seen is a feature too here, and counts for the length of the row
        again /= np.sqrt((again**2).sum(axis=1, keepdims=True)).clip(1e-300)
    np.testing.assert_allclose(again, theirs.transform(later).toarray(), rtol=1e-14, atol=1e-15)


def test_what_was_stored_earlier_is_read_as_it_was(tmp_path: Path) -> None:
    """A schema that was stored, the text, and its features then: learnt anew, and read by the schema, to the bit."""
    golden = json.loads((Path(__file__).parents[1] / "golden" / "transforms-format-1.json").read_text(encoding="utf-8"))
    found = table(tmp_path, golden["schema_file"], golden["text"])
    stored = Schema.from_json(golden["schema"])
    assert found.schema == stored
    kinds = {placed.transform.kind for placed in stored.part.transforms}
    assert kinds == set(TRANSFORMS.built_in)
    for one in (found, under(stored, golden["text"].partition("\n")[2])):
        assert one.parsed.rows.indptr.tolist() == golden["indptr"]
        assert one.parsed.rows.indices.tolist() == golden["indices"]
        assert one.parsed.rows.values.tolist() == golden["values"]
