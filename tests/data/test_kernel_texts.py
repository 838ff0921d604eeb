"""The compiled loops read and write text as Python does, bits and all."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data import kernels
from mr_ml.readers.libsvm import reader as libsvm
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.numbers import parse_floats
from mr_ml.readers.text.options import TextOptions

native = pytest.importorskip("mr_ml._native", reason="mr_ml was installed without its compiled loops")
pytestmark = pytest.mark.skipif(not kernels.installed(), reason="MR_ML_NATIVE=0")


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-100, 100, places=6).map(str),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(["1.", ".5", "+3", "-0", "1e-400", "1e22", "1e23", "0" * 70 + "1", "9007199254740993", "1E+2"]),
    st.sampled_from(["1e400", "nan", "inf", "1_0", "0x1", "", ".", "-", "1e", "\uff11", "1\x00", "1,5"]),
)
LINES = st.lists(
    st.tuples(NUMBERS, st.lists(st.tuples(st.integers(0, 2**31 + 2), NUMBERS), max_size=4), st.sampled_from("\n\r "))
)


@examples(300)
@given(lines=LINES, labels_required=st.booleans(), base=st.sampled_from([0, 1]))
def test_libsvm_lines_read_the_same(
    lines: list[tuple[str, list[tuple[int, str]], str]], labels_required: bool, base: Literal[0, 1]
) -> None:
    text = "".join(
        label + "".join(f" {i}:{v}" for i, v in sorted(pairs)) + (end if end != "\n" else "") + "\n"
        for label, pairs, end in lines
    ).encode()

    schema = Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=base, n_features=2**31 - 1)

    def read() -> Parsed:
        return libsvm.parse(text, schema, labels="required" if labels_required else "optional")

    compiled = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "native", None)
        plain = read()
    assert_same(compiled, plain)


# what of a feature is read at once, and what is just not
SHORT = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "-", "+"]), st.text("0123456789", max_size=9), st.sampled_from(["", "."]),
    st.text("0123456789", max_size=9),
)  # fmt: skip
STRANGE = st.sampled_from("-+.:eE \t\r#\x00\x1f/;\xff")


@examples(400)
@given(
    features=st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10), SHORT), min_size=1, max_size=12),
    blank=st.sampled_from([" ", "\t", "  ", "\r\n1 "]),
    strange=st.none() | st.tuples(st.integers(0, 200), STRANGE),
)
def test_short_features_read_the_same(
    features: list[tuple[int, int, str]], blank: str, strange: tuple[int, str] | None
) -> None:
    line = "1 " + blank.join(f"{number % 10**digits}:{value}" for number, digits, value in sorted(features)) + "\n"
    if strange is not None:
        at = strange[0] % len(line)
        line = line[:at] + strange[1] + line[at + 1 :]
    # the last features of a text are read by other means
    text = (line + "0 1:1 2:0.5 3:-0.25\n" * 2).encode("latin-1")
    schema = Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=0, n_features=2**31 - 1)
    compiled = libsvm.parse(text, schema, labels="required")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "native", None)
        assert_same(compiled, libsvm.parse(text, schema, labels="required"))


def test_every_short_number_is_the_one_that_python_reads() -> None:
    """Of each length, with the dot at each place, and behind ids of each length."""
    rng = np.random.default_rng(9)
    for n_id in range(1, 11):
        for n in range(1, 11):
            for dot in range(n + 1):
                for sign in ("", "-"):
                    digits = "".join(map(str, rng.integers(0, 10, n)))
                    value = f"{sign}{digits[:dot]}.{digits[dot:]}" if dot < n else sign + digits
                    number = int(rng.integers(10 ** (n_id - 1), min(10**n_id, 2**31 - 1)))
                    text = f"1 {number}:{value} 2147483647:1\n0 1:1 2:1 3:1 4:1\n".encode()
                    arrays = (
                        np.zeros(3),
                        np.zeros(3, np.int64),
                        np.zeros(4, np.int64),
                        np.zeros(9, np.int32),
                        np.zeros(9),
                    )
                    found = kernels.read_libsvm(
                        text, 0, len(text), lowest_id=0, highest_id=2**31 - 1, base=0, labels_required=True,
                        filled=(0, 0, 0), arrays=arrays,
                    )  # fmt: skip
                    assert found is not None
                    assert found[:3] == (2, 6, 2)
                    assert arrays[3][0] == number
                    assert arrays[4][:1].tobytes() == np.array([float(value) + 0.0]).tobytes(), value


def assert_same(compiled: Parsed, plain: Parsed) -> None:
    assert (compiled.bad, compiled.bad_counts, compiled.n_lines) == (plain.bad, plain.bad_counts, plain.n_lines)
    for name, theirs in vars(plain.rows).items():
        ours = getattr(compiled.rows, name)
        assert (ours is theirs is None) or (ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()), name


def test_long_texts_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    lines = [
        f"{rng.integers(0, 2)} "
        + " ".join(f"{i}:{rng.normal():.{rng.integers(0, 9)}f}" for i in np.unique(rng.integers(1, 10**7, 20)))
        + ("" if rng.random() < 0.99 else rng.choice(["\r", "   ", " # comment", " 3:x"]))
        for _ in range(6000)
    ]
    text = "\n".join(lines).encode()
    schema = Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=1, n_features=10**7)
    compiled = libsvm.parse(text, schema, labels="required")
    monkeypatch.setattr(kernels, "native", None)
    assert_same(compiled, libsvm.parse(text, schema, labels="required"))


def test_ordinary_lines_do_take_the_compiled_loop() -> None:
    text = b"0 9:9\n+1 1:0.5 7:-2e-3\r\n\n-1\t2:1 \n"
    arrays = np.zeros(4), np.zeros(4, np.int64), np.zeros(5, np.int64), np.zeros(4, np.int32), np.zeros(4)
    found = kernels.read_libsvm(
        text, 6, len(text), lowest_id=1, highest_id=100, base=1, labels_required=True, filled=(1, 1, 1), arrays=arrays
    )
    assert found == (3, 4, 4, 1, 7)
    labels, row_lines, indptr, indices, values = arrays
    assert labels.tolist() == [0, 1, -1, 0]
    assert row_lines.tolist() == [0, 1, 3, 0]
    assert indptr.tolist() == [0, 0, 3, 4, 0]
    assert indices.tolist() == [0, 0, 6, 1]
    assert values.tolist() == [0, 0.5, -2e-3, 1]


@given(text=st.binary(max_size=1000), repeats=st.integers(1, 3))
def test_bytes_are_counted(text: bytes, repeats: int) -> None:
    text *= repeats
    assert kernels.count_bytes(text, b"\n:\n") == (text.count(b"\n"), text.count(b":"), text.count(b"\n"))
    assert kernels.count_bytes(text, b"") == ()


def test_many_equal_bytes_are_counted() -> None:
    assert kernels.count_bytes(b":" * 1_000_001, b"\n:") == (0, 1_000_001)


@examples(300)
@given(fields=st.lists(NUMBERS, max_size=20), delimiter=st.sampled_from(",;\t|+e"))
def test_fields_read_the_same(fields: list[str], delimiter: str) -> None:
    """Bits and all, whatever stands behind a field: the sign of zero, what underflows, what is no number."""
    encoded = [field.encode() for field in fields]
    buffer = np.frombuffer(delimiter.encode().join([*encoded, b""]), np.uint8)
    ends = np.cumsum([len(field) + 1 for field in encoded], dtype=np.int64) - 1
    starts = ends - np.array([len(field) for field in encoded], np.int64)
    found = kernels.read_floats(buffer, starts, ends)
    assert found is not None
    values, left = found
    plain, ok = parse_floats(buffer, starts, ends)
    usual = np.delete(np.arange(len(fields)), left)
    assert ok[usual].all()
    assert values[usual].tobytes() == plain[usual].tobytes()
    if delimiter in ",;\t|":
        short = [k for k, field in enumerate(fields) if ok[k] and len(field) < 25]
        assert set(short) <= set(usual.tolist())


def test_fields_outside_the_text_are_refused() -> None:
    buffer = np.frombuffer(b"1,2,", np.uint8)
    for start, end in ((-1, 1), (2, 1), (3, 5)):
        with pytest.raises(ValueError, match="out of range"):
            kernels.read_floats(buffer, np.array([start]), np.array([end]))
    values, left = kernels.read_floats(buffer, np.array([0, 2, 2]), np.array([1, 4, 2])) or (None, None)
    assert values is not None
    assert left is not None
    assert (values[0], left.tolist()) == (1, [1, 2])


@examples(300)
@given(values=st.lists(st.floats(), max_size=20))
def test_numbers_are_written_as_python_does(values: list[float]) -> None:
    assert written(np.array(values)) == values_as_python_writes(values)


def test_numbers_around_every_edge_are_written_as_python_does() -> None:
    """Powers of two and ten and their neighbours, halves of the last decimal, every binary exponent."""
    rng = np.random.default_rng(7)
    powers = np.concatenate([2.0 ** np.arange(-1074, 1024), 10.0 ** np.arange(-320, 309)])
    near = (powers.view(np.int64)[:, None] + np.arange(-3, 4)).clip(min=0).ravel().view(np.float64)
    exponents = np.repeat(np.arange(2047, dtype=np.uint64) << np.uint64(52), 20)
    anywhere = (exponents | rng.integers(0, 2**52, len(exponents)).astype(np.uint64)).view(np.float64)
    ties = rng.integers(2**50, 2**53, 20_000) / 2.0 ** rng.integers(0, 8, 20_000)
    short = np.round(rng.random(20_000), 6), rng.random(20_000), rng.random(20_000) * 1e-6
    for values in (near, -near, anywhere, ties, *short, np.array([0.0, -0.0, np.nan, np.inf, -np.inf])):
        assert written(values) == values_as_python_writes(values.tolist())


def written(values: Any) -> str:
    n = len(values)
    found = kernels.write_rows(
        values[:, None], starts=b"", start_ends=np.zeros(1, np.int64), choice=np.zeros(n, np.int64),
        lines=np.arange(n), n_lines=n,
    )  # fmt: skip
    assert found is not None
    return bytes(found).decode()


def values_as_python_writes(values: list[float]) -> str:
    return "".join(f"{value!r}\n" for value in values)


def test_rows_go_to_their_lines() -> None:
    found = kernels.write_rows(
        np.array([[0.5, 2], [0.25, -1e-7]]), starts=b"a\tlong\t", start_ends=np.array([2, 7]), choice=np.array([1, 0]),
        lines=np.array([1, 3]), n_lines=5,
    )  # fmt: skip
    assert found is not None
    assert bytes(found) == b"\nlong\t0.5\t2.0\n\na\t0.25\t-1e-07\n\n"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lines": np.array([1, 1])}, "out of range"),
        ({"lines": np.array([0, 2])}, "out of range"),
        ({"lines": np.array([-1, 1])}, "out of range"),
        ({"choice": np.array([0, 1])}, "out of range"),
        ({"start_ends": np.array([9])}, "out of range"),
        ({"choice": np.array([0])}, "do not fit"),
        ({"n_lines": 1}, "do not fit"),
        ({"out": np.empty(30, np.uint8)}, "no room"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: dict[str, Any], match: str) -> None:
    given: dict[str, Any] = {
        "values": np.ones((2, 1)), "n_columns": 1, "starts": b"a\t", "start_ends": np.array([2]),
        "choice": np.array([0, 0]), "lines": np.array([0, 1]), "n_lines": 2, "out": np.empty(100, np.uint8),
        **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=match):
        native.write_rows(*given.values())
