"""libsvm text of every kind, hostile kinds included: the reader agrees with a slow and obvious one."""

from __future__ import annotations

import json
import re
import struct
from itertools import pairwise
from typing import Literal

import chunks
import numpy as np
import pytest
from builders import scan
from hypothesis import example, given
from hypothesis import strategies as st
from reference_libsvm import Reference, read

from mr_ml.errors import BadDataError
from mr_ml.readers.base import Labels
from mr_ml.readers.libsvm import long_lines as libsvm_long
from mr_ml.readers.libsvm import reader as libsvm
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text import lines
from mr_ml.readers.text.fields import hash_fields
from mr_ml.readers.text.options import TextOptions

pytestmark = pytest.mark.usefixtures("each_implementation")

Base = Literal[0, 1]
NAMED: tuple[Labels, ...] = ("required", "optional")
NUMBERED: tuple[Base, ...] = (0, 1)
LABELS, BASES = st.sampled_from(NAMED), st.sampled_from(NUMBERED)


def schema(base: Base, *, has_groups: bool = False) -> Schema:
    return Schema(
        format="libsvm",
        part=LibsvmPart(TextOptions()),
        index_base=base,
        n_features=2**31,
        has_groups=has_groups,
        label_kind="numeric",
    )


decimals = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.17e}"),
    st.decimals(-1000, 1000, places=5).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        ["1", "0", "-1", "+1", "2.000000", "1.", ".5", "1e-400", "-0", "-0.0", "1E5", "00012", "1e22", "1e23"]
    ),
)
label_texts = decimals.filter(lambda text: not text.lstrip("+-").isdigit() or int(text) == int(float(text)))
blanks = st.sampled_from([" ", " ", " ", "  ", "\t", " \t "])
line_ends = st.sampled_from(["\n", "\n", "\r\n", " \n"])


@st.composite
def valid_rows(draw: st.DrawFn, *, base: int, labelled: bool, query: bool) -> str:
    ids = sorted(draw(st.sets(st.one_of(st.integers(base, 40), st.integers(base, 2**31 - 1 + base)), max_size=6)))
    tokens = [draw(label_texts)] if labelled else []
    if query:
        tokens.append(f"qid:{draw(st.integers(0, 10**25))}")
    tokens += [f"{i}:{draw(st.sampled_from(['', '', '', ' ', chr(9) + ' ']))}{draw(decimals)}" for i in ids]
    line = "".join(token + draw(blanks) for token in tokens).removesuffix(" ")
    comment = draw(st.sampled_from(["", "", "", "#", "# 1:2", " # é"]))
    return draw(st.sampled_from(["", "", " "])) + line + comment + draw(line_ends)


STRANGE_TEXT = """
nan NaN -inf Infinity 1e400 -1e999 1_000 1__0 0x10 1e 1e5.0 1.2.3 - + . e5 qid qid:3 qid:x qid:3:4 qid: 1: :1 : 1:2:3
1:1 2:1 3:1 0:1 1:nan 2:inf 3:1e400 4:1_0 +5:1 -5:1 5:x 2147483647:1 2147483648:1 2147483649:1 99999999999999999999:1
000000000000000000000000007:1 nan:1 1_0:1 foo # #1:1 #é 9007199254740993 -9007199254740993 9007199254740993.
"""
# Full-width digits one and two; control characters that Python's `float` would strip.
STRANGE = [*STRANGE_TEXT.split(), "\uff11:1", "2:\uff12", "1:\x0b1", "1:1\x0c", "\x1c1"]
strange_tokens = st.one_of(
    decimals,
    st.sampled_from(STRANGE),
    st.text(st.sampled_from("0123456789:.#+-eE_\t\x0b\x1fé²"), max_size=8),
)
strange_lines = st.lists(st.tuples(strange_tokens, blanks), max_size=5).map(
    lambda pairs: "".join(token + blank for token, blank in pairs)
)
bad_bytes = st.sampled_from([b"\xff", b"\0", b"\r", b"\r\r", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\x80", b""])


@st.composite
def hostile_texts(draw: st.DrawFn) -> bytes:
    lines = [
        draw(bad_bytes) + line.encode() + draw(bad_bytes) + draw(st.sampled_from([b"", b" 2:1"])) + b"\n"
        if draw(st.integers(0, 5)) == 0
        else line.encode() + draw(line_ends).encode()
        for line in draw(st.lists(strange_lines, max_size=6))
    ]
    text = b"".join(lines)
    return text.removesuffix(b"\n") if draw(st.booleans()) else text


def assert_same(text: bytes, reference: Reference, parsed: Parsed, *, groups: bool = False) -> None:
    rows = parsed.rows
    assert parsed.n_lines == reference.n_lines
    assert rows.lines.tolist() == [row[0] for row in reference.rows]
    labels = [float("nan") if row[1] is None else row[1] + 0.0 for row in reference.rows]
    assert bits(rows.labels) == bits(labels)
    assert np.diff(rows.indptr).tolist() == [len(row[2]) for row in reference.rows]
    assert rows.indptr[0] == 0
    assert rows.indices.tolist() == [i for row in reference.rows for i in row[2]]
    assert bits(rows.values) == bits([value + 0.0 for row in reference.rows for value in row[3]])
    assert {bad.line: bad.kind for bad in parsed.bad} == reference.bad
    assert parsed.bad_counts == {kind: list(reference.bad.values()).count(kind) for kind in reference.bad.values()}
    types = [a.dtype for a in (rows.labels, rows.indptr, rows.indices, rows.values, rows.lines)]
    assert types == [np.float64, np.int64, np.int32, np.float64, np.int64]
    if groups:
        assert rows.groups is not None
        assert rows.groups.tolist() == [hash_of(row[4] or "") for row in reference.rows]


def bits(values: object) -> bytes:
    return b"".join(struct.pack("<d", value) for value in np.asarray(values, np.float64).tolist())


def hash_of(text: str) -> int:
    buffer = np.frombuffer(text.encode(), np.uint8)
    return int(hash_fields(buffer, np.array([0]), np.array([len(buffer)]))[0])


@given(data=st.data(), base=BASES, labels=LABELS, query=st.booleans())
def test_valid_text_is_read_to_the_last_bit(data: st.DataObject, base: Base, labels: Labels, query: bool) -> None:
    rows = valid_rows(base=base, labelled=labels == "required" or data.draw(st.booleans()), query=query)
    text = "".join(data.draw(st.lists(rows, max_size=6))).encode()
    reference = read(text, base=base, labels=labels)
    assert not reference.bad
    assert_same(text, reference, libsvm.parse(text, schema(base, has_groups=True), labels=labels), groups=True)


@given(text=hostile_texts(), base=BASES, labels=LABELS)
@example(text=b"1 3: 4\n2 1:1\n3", base=1, labels="required")
@example(text=b"1:2:3 4\n", base=1, labels="required")
@example(text=b"1 1:2\r", base=1, labels="required")
@example(text=b"\xef\xbb\xbf", base=0, labels="optional")
def test_hostile_text_gives_the_rows_and_bad_rows_of_the_reference(text: bytes, base: Base, labels: Labels) -> None:
    parsed = libsvm.parse(text, schema(base, has_groups=True), labels=labels)
    assert_same(text, read(text, base=base, labels=labels), parsed, groups=True)


@given(text=st.binary(max_size=300), base=BASES, labels=LABELS)
def test_any_bytes_give_rows_or_bad_rows(text: bytes, base: Base, labels: Labels) -> None:
    assert_same(text, read(text, base=base, labels=labels), libsvm.parse(text, schema(base), labels=labels))


@given(text=st.one_of(st.binary(max_size=300), hostile_texts()), base=st.sampled_from([0, 1, None]))
def test_scan_and_resolve_give_a_schema_or_a_clean_error(text: bytes, base: Base | None) -> None:
    options = TextOptions(index_base=base)
    summary = scan(text, options, file="rows.libsvm")
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    try:
        resolved = chunks.resolve(options, summary)
    except BadDataError:
        return
    assert Schema.from_json(json.loads(json.dumps(resolved.to_json()))) == resolved
    parsed = chunks.parse(text, resolved, labels="required")
    assert parsed.rows.n_rows == summary.n_rows
    assert parsed.bad_counts == summary.bad_counts
    assert resolved.n_features == int(parsed.rows.indices.max(initial=-1)) + 1


@given(text=hostile_texts(), cuts=st.lists(st.integers(0, 50)), base=BASES, labels=LABELS)
def test_cutting_at_lines_changes_nothing(text: bytes, cuts: list[int], base: Base, labels: Labels) -> None:
    pieces = cut_at_lines(text, cuts)
    whole = libsvm.parse(text, schema(base, has_groups=True), labels=labels)
    parts = [libsvm.parse(piece, schema(base, has_groups=True), labels=labels) for piece in pieces]
    before = np.cumsum([0] + [part.n_lines for part in parts])
    for name in ("labels", "indices", "values", "groups"):
        joined = np.concatenate([getattr(part.rows, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole.rows, name))
    lines = np.concatenate([part.rows.lines + start for part, start in zip(parts, before, strict=False)])
    np.testing.assert_array_equal(lines, whole.rows.lines)
    assert before[-1] == whole.n_lines
    kinds = {bad.line + start: bad for part, start in zip(parts, before, strict=False) for bad in part.bad}
    assert {line: (bad.kind, bad.excerpt) for line, bad in kinds.items()} == {
        bad.line: (bad.kind, bad.excerpt) for bad in whole.bad
    }


@given(text=hostile_texts(), cuts=st.lists(st.integers(0, 50)), base=st.sampled_from([0, 1, None]))
def test_summaries_of_pieces_add_up_to_that_of_the_whole(text: bytes, cuts: list[int], base: Base | None) -> None:
    options = TextOptions(index_base=base)
    summaries, n_lines = [], 0
    for piece in cut_at_lines(text, cuts):
        summaries.append(scan(piece, options, file="rows.libsvm", first_line=n_lines))
        n_lines += summaries[-1].n_lines
    whole = scan(text, options, file="rows.libsvm")
    assert sum(summaries, Summary()) == whole
    assert sum(reversed(summaries), Summary()) == whole


summaries = st.builds(
    lambda text, file: scan(text, TextOptions(), file=file), hostile_texts(), st.sampled_from(["a", "b", "c"])
)


@given(a=summaries, b=summaries, c=summaries)
def test_adding_summaries_is_associative_and_commutative(a: Summary, b: Summary, c: Summary) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Summary() == a


@given(text=hostile_texts(), piece_bytes=st.integers(1, 40))
def test_the_size_of_pieces_within_a_text_does_not_show(text: bytes, piece_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libsvm, "_PIECE_BYTES", piece_bytes)
        parsed = libsvm.parse(text, schema(1, has_groups=True), labels="optional")
        summary = scan(text, TextOptions(), file="f")
    assert_same(text, read(text, base=1, labels="optional"), parsed, groups=True)
    assert summary == scan(text, TextOptions(), file="f")


@given(text=hostile_texts(), base=BASES, labels=LABELS, stretch=st.integers(24, 64))
def test_long_lines_are_read_as_short_ones(text: bytes, base: Base, labels: Labels, stretch: int) -> None:
    """Stretch by stretch: the same rows, and the same kinds of bad rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONG_LINE_BYTES", 3)
        patch.setattr(libsvm, "_PIECE_BYTES", 1)
        patch.setattr(libsvm_long, "STRETCH_BYTES", stretch)
        parsed = libsvm.parse(text, schema(base, has_groups=True), labels=labels)
    reference = read(text, base=base, labels=labels)
    # but for those of which a token alone is too long
    for bad in parsed.bad:
        if bad.kind == "long_line":
            content = text.split(b"\n")[bad.line].split(b"#")[0]
            assert re.search(rb"([^ \t]|:[ \t]+){%d}" % (stretch - 12), content)
            reference.rows[:] = [row for row in reference.rows if row[0] != bad.line]
            reference.bad[bad.line] = bad.kind
    assert_same(text, reference, parsed, groups=True)


def cut_at_lines(text: bytes, cuts: list[int]) -> list[bytes]:
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1].removesuffix(b"\n")
    bounds = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    return [b"".join(lines[a:b]) for a, b in pairwise(bounds)]
