"""Rows that the scan read are those that a map task would read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import chunks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.packing.drafts import DRAFTS, Drafts
from mr_ml.packing.tasks import ScanRequest, scan
from mr_ml.readers.base import Draft
from mr_ml.readers.csv.schema import bind
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions

LINES = st.lists(
    st.sampled_from(
        [
            "1 1:2 3:0.5",
            "0 qid:4 2:1",
            "1 qid:5 1:1",
            "-1 0:1 2:3",
            "2 2147483648:1",
            "1",
            "",
            "# nothing",
            "x 1:1",
            "1 3:",
        ]
    ),
    max_size=8,
)


def assert_same(ours: Parsed, theirs: Parsed) -> None:
    assert (ours.bad, ours.bad_counts, ours.n_lines, ours.n_dropped) == (
        theirs.bad,
        theirs.bad_counts,
        theirs.n_lines,
        theirs.n_dropped,
    )
    for name, expected in vars(theirs.rows).items():
        found: Any = getattr(ours.rows, name)
        assert (found is expected is None) or (found.dtype == expected.dtype and np.array_equal(found, expected)), name


@given(lines=LINES, asked=st.sampled_from([None, 0, 1]), base=st.sampled_from([0, 1]), groups=st.booleans())
def test_a_draft_that_fits_holds_what_parsing_finds(lines: list[str], asked: Any, base: Any, groups: bool) -> None:
    text, options = "\n".join(lines).encode(), TextOptions(index_base=asked)
    summary, draft = chunks.draft(text, options, file="f")
    assert draft is not None
    schema = Schema(format="libsvm", part=LibsvmPart(options), index_base=base, n_features=2**31, has_groups=groups)
    if asked is None or asked == base:
        resolvable = summary.facts.max_index - base < 2**31 and (base == 0 or 0 not in summary.facts.min_index.values())
        assert draft.fits(schema) or not resolvable
    if draft.fits(schema) and asked in (None, base):
        assert_same(draft.under(schema), chunks.parse(text, schema, labels="required"))
        narrowed = draft.narrowed()
        assert_same(narrowed.under(schema), chunks.parse(text, schema, labels="required"))


def test_drafts_take_fewer_bytes() -> None:
    text = b"".join(b"1 %s\n" % b" ".join(b"%d:0.%04d" % (i, i) for i in range(1, 101)) for _ in range(100))
    _, draft = chunks.draft(text, TextOptions(), file="f")
    assert draft is not None
    assert draft.narrowed().nbytes < 0.4 * draft.nbytes


def csv_draft(text: bytes, **options: Any) -> tuple[Schema, Draft | None]:
    asked = TextOptions(format="csv", columns=("y", "a", "b"), label_column="y", **options)
    summary, draft = chunks.draft(text, asked, file="f")
    return chunks.resolve(asked, summary), draft


def test_csv_of_numbers_has_drafts() -> None:
    schema, draft = csv_draft(b"1,2,0\n-0,-0.0,1e3\n")
    assert draft is not None
    assert draft.fits(schema)
    found = draft.narrowed().under(schema)
    assert found.rows.labels.tolist() == [1, 0]
    assert (found.rows.indptr.tolist(), found.rows.indices.tolist()) == ([0, 1, 2], [0, 1])
    assert found.rows.values.tolist() == [2, 1000]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (b"1,2,red\n", {}),
        (b"1,2,\n1,2,3\n", {"missing": "zero"}),
        (b"1,2,\n1,2,3\n", {"missing": "drop"}),
        (b"1,2,x\n1,2,3\n", {"numeric_columns": ("b",)}),
        (b"1,2,3\n", {"categorical_columns": ("b",)}),
        (b"1,2,3\n", {"weight_column": "b"}),
        (b"1,2,3\n", {"group_column": "b"}),
        (b"1,2,3\n\n", {}),
    ],
)
def test_other_csv_is_read_again(text: bytes, options: dict[str, Any]) -> None:
    assert csv_draft(text, **options)[1] is None


def test_a_draft_fits_no_schema_that_reads_other_columns() -> None:
    schema, draft = csv_draft(b"1,2,3\n0,4,5\n")
    assert draft is not None
    for other in (
        csv_draft(b"1,2,3\n", drop_columns=("b",))[0],
        csv_draft(b"1,2,3\n", offset_column="b")[0],
        csv_draft(b"1,2,red\n")[0],
        csv_draft(b"no,2,3\n")[0],
        bind(schema, ("a", "y", "b")),
        bind(schema, ("y", "b", "a")),
    ):
        assert not draft.fits(other)


class Chunks:
    """Text of a file that says nothing of itself."""

    file, start = "f", 0

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def chunks(self) -> Iterator[bytes]:
        yield from self._chunks

    def key(self) -> bytes:
        return b"[]"


@pytest.mark.parametrize("fits", [True, False])
def test_a_range_is_kept_whole_or_not_at_all(fits: bool) -> None:
    small, large = b"1 1:2 3:0.5\n", b"1 1:2 3:0.5\n" * 100
    _, draft = chunks.draft(small, TextOptions(), file="f")
    assert draft is not None
    keep_bytes = 100_000 if fits else draft.narrowed().nbytes + 1
    # what an earlier pack kept counts no more
    pack = f"fits {fits}"
    assert scan(ScanRequest(TextOptions(), pack, keep_bytes), Chunks(small, large)).n_rows == 101
    assert (DRAFTS.take(pack, b"[]") is not None) == fits


def test_drafts_are_given_back_once_and_to_their_pack_only() -> None:
    _, draft = chunks.draft(b"1 1:2\n", TextOptions(), file="f")
    assert draft is not None
    drafts = Drafts()
    assert drafts.room("a", budget=1000) == 1000
    drafts.keep("a", b"one", [draft])
    drafts.keep("a", b"two", [draft])
    assert drafts.room("a", budget=1000) == 1000 - 2 * draft.nbytes
    assert drafts.take("b", b"one") is None
    assert drafts.take("a", b"one") == [draft]
    assert drafts.take("a", b"one") is None
    assert drafts.room("b", budget=1000) == 1000
    assert drafts.take("b", b"two") is None
    with pytest.raises(AssertionError):
        drafts.keep("a", b"one", [draft])
