"""What libsvm rows have besides label and features, as it stands there: ``qid``, and ``comment``, behind the ``#``."""

from __future__ import annotations

from collections.abc import Sequence

from mr_ml.readers.rows import Rows

_QID = b"qid:"


def texts(text: bytes, rows: Rows, keep: Sequence[str]) -> tuple[list[str], ...]:
    """Return the query ids or comments, or both, of the rows made of a text; an empty text where a row has none."""
    lines = text.split(b"\n")
    of_rows = [lines[line].partition(b"#") for line in rows.lines.tolist()]
    columns = {
        "qid": [_qid(row) for row, _, _ in of_rows],
        "comment": [said.strip().decode() for _, _, said in of_rows],
    }
    return tuple(columns[name] for name in keep)


def _qid(row: bytes) -> str:
    return next((token[len(_QID) :].decode() for token in row.split(None, 2)[:2] if token.startswith(_QID)), "")
