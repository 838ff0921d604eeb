"""The rows of one CSV text while they are read: fields, what is wrong with which row, and which rows are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import kernels
from mr_ml.readers.csv.categories import Categories
from mr_ml.readers.csv.columns import NAMELESS
from mr_ml.readers.csv.fields import CODES, KINDS, NO_DEFECT, Fields, fields_that_end_at, split_fields
from mr_ml.readers.csv.header import rows_of_names
from mr_ml.readers.csv.numbers import is_plain, kind_of_bad_number, numbers_of, read_numbers
from mr_ml.readers.csv.stored import Role, delimiter_of
from mr_ml.readers.csv.values import Vocabulary, distinct, vocabulary
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, excerpt
from mr_ml.readers.text.fields import F64, I64, U8, U64, Mask, hash_fields, mixed
from mr_ml.readers.text.lines import long_line_before
from mr_ml.readers.text.numbers import parse_floats
from mr_ml.readers.text.options import TextOptions

_BEGINS_NUMBER = np.isin(np.arange(256), np.frombuffer(b"0123456789.+-", np.uint8))
_SHOWN = 100
_PIECE_BYTES = 3 << 19
_PIECE_BYTES_PER_COLUMN = 256


def pieces(text: bytes, *, n_columns: int, first_is: int = 1) -> Iterator[memoryview]:
    """Cut a text behind line feeds into pieces so small that what is made of one stays near the processor.

    They are parts of its memory. Long lines are pieces by themselves. Wide rows get larger pieces: there is some work
    per column and piece, whatever the number of rows. The first piece is as large as so many others.
    """
    whole = memoryview(text)
    start, size = 0, max(_PIECE_BYTES, _PIECE_BYTES_PER_COLUMN * n_columns)
    while start < len(text):
        end = text.find(b"\n", start + (size if start else first_is * size) - 1) + 1 or len(text)
        before = long_line_before(text, start, end)
        end = before if before > start else end
        yield whole[start:end]
        start = end


class Table:
    """The n rows of a text that have the right number of fields, addressed by the names of their columns.

    Parameters
    ----------
    text : bytes or a view of some
        Whole lines without a header.
    options : TextOptions
        With the names of the columns.
    exact : frozenset of str
        Columns whose numbers are written plainly, whatever the options say.

    Attributes
    ----------
    n_rows, n_lines : int
    lines : int64 (n_rows,)
        0-based line of each row.
    """

    def __init__(self, text: bytes | memoryview, options: TextOptions, *, exact: frozenset[str] = frozenset()) -> None:
        columns = options.columns or ()
        self._text = text if text[-1:] == b"\n" or not text else bytes(text) + b"\n"
        self._options = options
        self._exact = exact
        self._columns = columns
        self._position = {name: i for i, name in enumerate(columns)}
        # of ordinary lines the numbers are read at once, and where fields are only if somebody asks
        self._plain = kernels.read_csv(self._text, delimiter=delimiter_of(options), n_columns=len(columns))
        anywhere = tuple(dict.fromkeys(("", *options.missing_markers)))
        among_numbers = tuple(marker for marker in options.number_markers if marker not in anywhere)
        self._markers, self._n_anywhere = vocabulary((*anywhere, *among_numbers)), len(anywhere)
        self._a_marker_is_a_number = bool(numbers_of((*anywhere, *among_numbers), options))
        self._is_plain = is_plain(options)
        if self._plain is None:
            self.lines, self.n_lines = self._fields.lines, len(self._fields.defects)
        else:
            self.n_lines = len(self._plain[0])
            self.lines = np.arange(self.n_lines)
        self.n_rows = len(self.lines)
        self._kinds = np.full(self.n_rows, NO_DEFECT)
        self._culprits = np.zeros(self.n_rows, np.int64)
        if options.header and self.n_rows and (self._plain is None or len(self._plain[2])):
            again = rows_of_names(columns, options, self.n_rows, self._buffer, lambda name: self._spans([name]))
            self._refuse("header_again", again, np.zeros(len(again), np.int64))

    @cached_property
    def _fields(self) -> Fields:
        if self._plain is not None:
            return fields_that_end_at(self._plain[1], self._text)
        return split_fields(bytes(self._text), delimiter=delimiter_of(self._options), n_columns=len(self._columns))

    def numbers(
        self, names: Sequence[str], *, sure: Mask | None = None, options: TextOptions | None = None
    ) -> tuple[F64, Mask, Mask]:
        """Read columns as numbers.

        Parameters
        ----------
        sure : bool (k,), optional
            Which are known to be columns of numbers, in which more texts mean a missing value. All, if not given.
        options : TextOptions, optional
            How numbers are written in these columns, if not as everywhere.

        Returns
        -------
        values : float64 (n_rows, k)
            See `numbers.parse_floats` for fields that are not ok.
        ok, missing : bool (n_rows, k)
            The field is a finite decimal number; it is empty or a missing marker. Never both.
        """
        said = self._options if options is None else options
        if is_plain(said) or self._exact.isdisjoint(names):
            values, ok = self._read(names, said)
        else:
            plain = replace(said, decimal=".", thousands="", percent=False)
            read = [self._read([name], plain if name in self._exact else said) for name in names]
            values, ok = (np.stack(columns, axis=1).ravel() for columns in zip(*read, strict=True))
        k = max(len(names), 1)
        missing = np.zeros(len(ok), np.bool_)
        suspects = np.arange(len(ok)) if self._a_marker_is_a_number else np.flatnonzero(~ok)
        if len(suspects):
            starts, ends = self._spans(names)
            markers = self._markers.find(self._buffer, starts[suspects], ends[suspects])
            n_markers = np.where(sure is None or sure[suspects % k], self._markers.n_values, self._n_anywhere)
            missing[suspects] = (markers >= 0) & (markers < n_markers)
            ok &= ~missing
        shape = self.n_rows, len(names)
        return values.reshape(shape), ok.reshape(shape), missing.reshape(shape)

    def all_numbers(self, names: Sequence[str]) -> F64 | None:
        """Return columns as numbers, (n_rows, k), if each field of the text plainly is one and no marker; else None."""
        if self._plain is None or len(self._plain[2]) or self._a_marker_is_a_number or not self._is_plain:
            return None
        return np.ascontiguousarray(self._plain[0][:, self._columns_of(names)])

    def codes(self, name: str, values: Vocabulary | Categories) -> tuple[I64, Mask]:
        """Look a column up among `values`: the position of each field or -1; and whether it is missing."""
        starts, ends = self._spans([name])
        codes = values.find(self._buffer, starts, ends)
        missing = np.zeros(self.n_rows, np.bool_)
        # A scan never takes a missing field for a value, so no value of a vocabulary is a marker.
        suspects = np.flatnonzero(codes < 0)
        missing[suspects] = self._is_marker(starts[suspects], ends[suspects])
        return codes, missing

    def missing(self, names: Sequence[str]) -> Mask:
        """Whether fields are empty or missing markers, (n_rows, k)."""
        if not names:
            return np.zeros((self.n_rows, 0), np.bool_)
        missing: Mask = self._is_marker(*self._spans(names)).reshape(self.n_rows, len(names))
        return missing

    def _is_marker(self, starts: I64, ends: I64) -> Mask:
        """Whether fields mean a missing value in whatever column."""
        markers = self._markers.find(self._buffer, starts, ends)
        is_one: Mask = (markers >= 0) & (markers < self._n_anywhere)
        return is_one

    def texts(self, name: str) -> tuple[U8, I64, I64]:
        """Buffer, starts and ends of the fields of a column."""
        return self._buffer, *self._spans([name])

    def row_keys(self, names: Iterable[str]) -> U64:
        """Hash the fields of each row in some columns; in which order these stand does not matter."""
        keys = np.zeros(self.n_rows, np.uint64)
        for name in sorted(names):
            keys = mixed(keys ^ self.hashes(name))
        return keys

    def empty(self, name: str) -> Mask:
        """Whether the fields of a column are empty, (n_rows, 1)."""
        starts, ends = self._spans([name])
        empty: Mask = (starts == ends)[:, None]
        return empty

    def decoded(self, name: str, rows: NDArray[np.int64]) -> list[str]:
        """Return the fields of a column in some rows."""
        starts, ends = (bounds[rows].tolist() for bounds in self._spans([name]))
        buffer = self._buffer
        return [buffer[start:end].tobytes().decode() for start, end in zip(starts, ends, strict=True)]

    def hashes(self, name: str) -> U64:
        """Hash the fields of a column."""
        return hash_fields(self._buffer, *self._spans([name]))

    def distinct(self, names: Sequence[str], chosen: Mask) -> list[set[str]]:
        """Return the distinct fields of each column among those that are `chosen`, (n_rows, k)."""
        by_column = distinct(self._buffer, *self._bounds(self._at(names)), chosen)
        return [{value.decode() for value in values} for values in by_column]

    def distinct_of_all(self, names: Sequence[str]) -> list[set[str]]:
        """Return the distinct fields of each column."""
        plain = self._plain
        if plain is None or not self.n_rows:
            return self.distinct(names, np.ones((self.n_rows, len(names)), np.bool_))
        few = {name: kernels.few_texts(self._text, plain[1], self._position[name]) for name in names}
        many = [name for name in names if few[name] is None]
        found = {name: {text.decode() for text in texts} for name, texts in few.items() if texts is not None}
        if many:
            all_rows = np.ones((self.n_rows, len(many)), np.bool_)
            found |= dict(zip(many, self.distinct(many, all_rows), strict=True))
        return [found[name] for name in names]

    def count(self, name: str, texts: Sequence[str], chosen: Mask) -> int:
        """How many of the `chosen` fields of a column, (n_rows,), are one of some texts."""
        if not texts:
            return 0
        starts, ends = (bounds[chosen] for bounds in self._spans([name]))
        return int(np.count_nonzero(Vocabulary(texts).find(self._buffer, starts, ends) >= 0))

    def refuse(self, kind: str, names: Sequence[str], cells: Mask) -> None:
        """Make the rows of some cells bad. Of many reasons the first in `BAD_KINDS` counts, then the first of `names`.

        Parameters
        ----------
        cells : bool (n_rows, k)
        """
        if not cells.any():
            return
        rows, columns = np.nonzero(cells)
        self._refuse(kind, rows, self._at(names)[columns])

    def refuse_numbers(self, kind: str, names: Sequence[str], cells: Mask) -> None:
        """Make the rows of cells bad that are no number, for the reason found or else as `kind`."""
        if not cells.any():
            return
        rows, columns = np.nonzero(cells)
        at = self._at(names)[columns]
        starts, ends = self._fields.starts[rows, at], self._fields.ends[rows, at]
        reasons = np.empty(len(rows), np.int64)
        known: dict[bytes, int] = {}
        for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            text = self._fields.buffer[start:end].tobytes()
            if text not in known:
                known[text] = CODES[kind_of_bad_number(text.decode(), kind)]
            reasons[i] = known[text]
        for code in np.unique(reasons).tolist():
            chosen = reasons == code
            self._refuse(KINDS[code], rows[chosen], at[chosen])

    def kept(self, names: Sequence[str], missing: Mask, *, incomplete: Mask | None = None) -> tuple[Mask, int]:
        """Apply the policy for missing features, and tell which rows are good and how many were left out.

        A row that is left out is left out whatever else is wrong with it, so that `scan` and `parse` leave out the
        same rows: the first does not know all that the second finds wrong.

        Parameters
        ----------
        missing : bool (n_rows, k)
            Missing fields of the features `names`.
        incomplete : bool (n_rows,), optional
            Rows that are left out for other missing fields.
        """
        if self._options.missing == "error":
            self.refuse("missing_value", names, missing)
        left_out = np.zeros(self.n_rows, np.bool_) if incomplete is None else incomplete
        if self._options.missing == "drop":
            left_out = left_out | missing.any(axis=1)
        elif not left_out.any():
            return self._kinds == NO_DEFECT, 0
        self._kinds[left_out] = NO_DEFECT
        return (self._kinds == NO_DEFECT) & ~left_out, int(np.count_nonzero(left_out))

    def bad_rows(self) -> tuple[tuple[BadRow, ...], dict[str, int]]:
        """Return the first refused rows of each kind by line, and the number of all of each kind."""
        bad = np.flatnonzero(self._kinds != NO_DEFECT)
        if self._plain is not None and not len(bad):
            return (), {}
        structural = np.flatnonzero(self._fields.defects != NO_DEFECT)
        lines = np.concatenate([structural, self.lines[bad]])
        kinds = np.concatenate([self._fields.defects[structural], self._kinds[bad]])
        rows = np.concatenate([np.full(len(structural), -1), bad])
        examples, counts = [], {}
        for code in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == code)
            counts[KINDS[code]] = len(chosen)
            for i in chosen[np.argsort(lines[chosen])[:MAX_EXAMPLES]].tolist():
                line, row = int(lines[i]), int(rows[i])
                whole = row < 0 or KINDS[code] == "header_again"
                shown = self._excerpt_of_line(line, code) if whole else self._excerpt_of_field(row)
                examples.append(BadRow(line, KINDS[code], shown))
        return tuple(sorted(examples)), dict(sorted(counts.items()))

    def _read(self, names: Sequence[str], options: TextOptions) -> tuple[F64, Mask]:
        if not is_plain(options):
            return read_numbers(self._buffer, *self._spans(names), options)
        return self._read_plain(names) or self._parse(*self._spans(names))

    def _read_plain(self, names: Sequence[str]) -> tuple[F64, Mask] | None:
        """Return what was read of these columns when the text was cut, with what the compiled loop left to others."""
        if self._plain is None:
            return None
        values, _, left = self._plain
        columns = self._columns_of(names)
        read, ok = values[:, columns].flatten(), np.ones(self.n_rows * len(names), np.bool_)
        if len(left):
            is_left = np.zeros(values.shape, np.bool_)
            is_left.ravel()[left] = True
            at = np.flatnonzero(is_left[:, columns])
            if len(at):
                starts, ends = self._spans(names)
                read[at], ok[at] = _parse(self._buffer, starts[at], ends[at])
        return read, ok

    def _parse(self, starts: I64, ends: I64) -> tuple[F64, Mask]:
        usual = kernels.read_floats(self._fields.buffer, starts, ends)
        if usual is None:
            return _parse(self._fields.buffer, starts, ends)
        values, left = usual
        ok = np.ones(len(starts), np.bool_)
        if len(left):
            values[left], ok[left] = _parse(self._fields.buffer, starts[left], ends[left])
        return values, ok

    def _columns_of(self, names: Sequence[str]) -> slice | NDArray[np.int64]:
        at = self._at(names)
        in_a_row = len(at) > 1 and bool((np.diff(at) == 1).all())
        return slice(int(at[0]), int(at[-1]) + 1) if in_a_row else at  # a slice copies much faster

    def _spans(self, names: Sequence[str]) -> tuple[I64, I64]:
        starts, ends = self._bounds(self._columns_of(names))
        return starts.ravel(), ends.ravel()

    def _bounds(self, columns: slice | NDArray[np.int64]) -> tuple[I64, I64]:
        """Return starts and ends of the fields of some columns, (n_rows, k)."""
        if self._plain is None or isinstance(columns, slice):
            return self._fields.starts[:, columns], self._fields.ends[:, columns]
        ends = self._plain[1]
        before = np.arange(self.n_rows)[:, None] * len(self._columns) + columns - 1
        return np.where(before < 0, 0, ends.ravel()[before] + 1), ends[:, columns]

    @property
    def _buffer(self) -> U8:
        return self._fields.buffer if self._plain is None else np.frombuffer(self._text, np.uint8)

    def _at(self, names: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self._position[name] for name in names], np.int64)

    def _refuse(self, kind: str, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        code = CODES[kind]
        better = np.flatnonzero(code < self._kinds[rows])[::-1]  # backwards: the last write is the first column
        self._kinds[rows[better]] = code
        self._culprits[rows[better]] = columns[better]

    def _excerpt_of_line(self, line: int, code: int) -> str:
        start, end = int(self._fields.line_starts[line]), int(self._fields.line_ends[line])
        shown = bytes(self._text[start : min(end, start + _SHOWN)])
        if KINDS[code] in ("too_few_fields", "too_many_fields"):
            counts = f"expected {len(self._columns)} fields, found {int(self._fields.counts[line])}: "
            shown = counts.encode() + shown
        return excerpt(shown)

    def _excerpt_of_field(self, row: int) -> str:
        column = int(self._culprits[row])
        start, end = int(self._fields.starts[row, column]), int(self._fields.ends[row, column])
        shown = self._fields.buffer[start : min(end, start + _SHOWN)].tobytes()
        return excerpt(self._columns[column].encode() + b"=" + shown)


def read_extras(table: Table, roles: Mapping[str, Role]) -> tuple[F64 | None, F64 | None, U64 | None]:
    """Read weights, offsets and groups, None without such a column, and refuse the rows in which they are wrong.

    So are rows that have something in a last column without a name: that has a name in no schema.
    """
    weights = offsets = groups = None
    if NAMELESS in roles and list(roles)[-1] == NAMELESS:
        table.refuse("too_many_fields", [NAMELESS], ~table.empty(NAMELESS))
    for name, role in roles.items():
        if role == "weight":
            weights = _read_extra(table, name, role, lowest=0.0)
        elif role == "offset":
            offsets = _read_extra(table, name, role, lowest=-np.inf)
        elif role == "group":
            table.refuse("missing_group", [name], table.missing([name]))
            groups = table.hashes(name)
    return weights, offsets, groups


def _read_extra(table: Table, name: str, role: Role, *, lowest: float) -> F64:
    values, ok, missing = table.numbers([name])
    table.refuse(f"missing_{role}", [name], missing)
    table.refuse(f"bad_{role}", [name], ~missing & ~(ok & (values >= lowest)))
    column: F64 = values[:, 0] + 0.0
    return column


def _parse(buffer: U8, starts: I64, ends: I64) -> tuple[F64, Mask]:
    if not len(starts):
        return np.zeros(0), np.zeros(0, np.bool_)
    # Most texts betray themselves by their first byte, and parse_floats takes its time over what is no number.
    promising = np.flatnonzero(_BEGINS_NUMBER[buffer[starts]] & (starts < ends))
    if len(promising) == len(starts):
        return parse_floats(buffer, starts, ends)
    values, ok = np.full(len(starts), np.nan), np.zeros(len(starts), np.bool_)
    values[promising], ok[promising] = parse_floats(buffer, starts[promising], ends[promising])
    return values, ok
