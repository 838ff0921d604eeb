"""Rows that the scan read are those that a map task would read again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.pack.drafts import Drafts
from mr_ml.readers import formats
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema, TextOptions

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
    summary, draft = formats.draft(text, options, file="f")
    assert summary == formats.scan(text, options, file="f")
    assert draft is not None
    schema = Schema(format="libsvm", options=options, index_base=base, n_features=10, has_groups=groups)
    if asked is None or asked == base:
        resolvable = summary.max_index - base < 2**31 and (base == 0 or 0 not in summary.min_index.values())
        assert draft.fits(schema) or not resolvable
    if draft.fits(schema) and asked in (None, base):
        assert_same(draft.under(schema), formats.parse(text, schema, labels="required"))


def test_csv_has_no_drafts() -> None:
    options = TextOptions(format="csv", columns=("y", "x"))
    summary, draft = formats.draft(b"1,2\n", options, file="f")
    assert draft is None
    assert summary == formats.scan(b"1,2\n", options, file="f")


def test_drafts_are_given_back_once_and_to_their_pack_only() -> None:
    _, draft = formats.draft(b"1 1:2\n", TextOptions(), file="f")
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
