"""The compiled search for fields of CSV finds, in each way that the processor has, what Python's `split` finds."""

from __future__ import annotations

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data import kernels

native = pytest.importorskip("mr_ml._native", reason="mr_ml was installed without its compiled loops")
pytestmark = pytest.mark.skipif(not kernels.installed(), reason="without compiled loops")

COMMA = ord(",")
# by bytes, which is the oracle's way too; by sixteen of them, and by sixty-four where the processor has that
WAYS = (0, 1, 2)


@pytest.mark.parametrize("way", WAYS)
@examples(150)
@given(
    text=st.text("0,,\n;x", max_size=400) | st.text(",\n", max_size=200) | st.text("01234.,", max_size=4096),
    before=st.integers(0, 200),
    delimiter=st.sampled_from(",;\t"),
)
def test_ends_are_found_in_each_way(way: int, text: str, before: int, delimiter: str) -> None:
    data = ("1" * before + text).encode()[:4096]
    ends = np.zeros(4096, np.uint16)
    # of memory of its own, so that what is read beyond it is seen where memory is watched
    found = native.field_ends(bytes(bytearray(data)), ord(delimiter), way, ends)
    if found is None:
        pytest.skip("the processor has not this way")
    expected = [i for i, byte in enumerate(data) if byte in (ord(delimiter), ord("\n"))]
    assert found == (len(expected), data.count(b"\n"))
    assert ends[: found[0]].tolist() == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", [b",", b"\n", b"1", b",\n"])
def test_a_full_piece_of_ends_and_one_of_none(way: int, text: bytes) -> None:
    data, ends = text * (4096 // len(text)), np.zeros(4096, np.uint16)
    found = native.field_ends(data, COMMA, way, ends)
    if found is None:
        pytest.skip("the processor has not this way")
    expected = [] if text == b"1" else list(range(4096))
    assert found == (len(expected), data.count(b"\n"))
    assert ends[: found[0]].tolist() == expected


def test_ways_and_texts_that_there_are_not_are_refused() -> None:
    for data, way, room in ((b"1" * 4097, 0, 5000), (b"1,2", 3, 3), (b"1,2", -1, 3), (b"1,2", 0, 2)):
        with pytest.raises(ValueError, match="fit together"):
            native.field_ends(data, COMMA, way, np.zeros(room, np.uint16))


@examples(200)
@given(
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=30),
    n_columns=st.integers(1, 4),
    longest=st.sampled_from([1, 9, 700]),
    data=st.data(),
)
def test_a_row_of_another_number_of_fields_is_unusual(
    widths: list[int], n_columns: int, longest: int, data: st.DataObject
) -> None:
    # most rows are right, a few are not; together they may have as many fields as they should
    few = data.draw(st.integers(0, 2))
    widths = [width if i < few else n_columns for i, width in enumerate(widths)]
    widths = data.draw(st.permutations(widths))
    lines = [",".join("7" * (1 + (i * k) % longest % 60) for k in range(width)) for i, width in enumerate(widths)]
    text = ("\n".join(lines) + "\n").encode() * (1 + 5000 // longest // 8)
    found = kernels.read_csv(text, delimiter=COMMA, n_columns=n_columns)
    assert (found is None) == any(width != n_columns for width in widths)


@examples(200)
@given(
    texts=st.lists(st.text("01a.", max_size=12), min_size=1, max_size=20, unique=True),
    n_columns=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_few_texts_of_a_column_are_its_fields(texts: list[str], n_columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_rows = int(rng.integers(1, 60))
    column = int(rng.integers(n_columns))
    rows = [["9"] * n_columns for _ in range(n_rows)]
    for row in rows:
        row[column] = texts[int(rng.integers(len(texts)))]
    text = "".join(",".join(row) + "\n" for row in rows).encode()
    ends = np.cumsum([len(field) + 1 for row in rows for field in row]).reshape(n_rows, n_columns) - 1
    in_order = list(dict.fromkeys(row[column].encode() for row in rows))
    assert kernels.few_texts(text, ends, column) == (in_order if len(in_order) <= 16 else None)


def test_fields_outside_of_the_text_are_refused() -> None:
    good = np.array([1, 3])
    assert native.few_texts(b"1,2\n", good, 1, 0) == [b"1", b"2"]
    for ends in ([1, 5], [3, 1], [3, 3], [-1, 3], [-5, -3], [2**62, 3], [-(2**63), 3]):
        with pytest.raises(ValueError, match="out of range"):
            native.few_texts(b"1,2\n", np.array(ends), 1, 0)
    for n_columns, column in ((0, 0), (3, 0), (1, 1), (1, -1)):
        with pytest.raises(ValueError, match="fit together"):
            native.few_texts(b"1,2\n", good, n_columns, column)


def test_what_is_not_zero_is_counted() -> None:
    values = np.array([0.0, -0.0, 1.0, 5e-324, -5e-324, np.nan, np.inf, 0.0, 2.0] * 7)
    for n in range(len(values)):
        assert kernels.count_nonzero(values[:n]) == np.count_nonzero(values[:n])
    # a column of a matrix is no array of its own
    assert kernels.count_nonzero(values.reshape(-1, 9)[:, 2]) == 7
