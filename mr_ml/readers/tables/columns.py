"""The columns of several files with schemas of their own: which there are, what they hold, and what is made of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal
from urllib.parse import unquote

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError
from mr_ml.readers.csv.columns import is_text, label_kind_of, roles_of
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.rows import excerpt, listed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions

Kind = Literal["number", "text", "nothing", "unknown"]

# What pandas makes of an index that has no name.
_INDEX = re.compile(r"__index_level_[0-9]+__")
_PARTITION = re.compile(r"([^=/]+)=(.*)")
# As Hive calls the folder of rows without a value.
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Column:
    """A column of a file.

    Attributes
    ----------
    kinds
        What its type holds; several of a union. "nothing" are columns without any value, "unknown" are types that are
        not read.
    type
        Name of the type, for messages.
    """

    name: str
    kinds: tuple[Kind, ...]
    type: str


@dataclass(frozen=True)
class FileColumns:
    """The columns of one file, with those that its path names."""

    file: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Refuse names that no column may have.

        Raises
        ------
        BadDataError
        """
        names = [column.name for column in self.columns]
        for name in names:
            if not name.strip():
                problem = "one without a name"
            elif names.count(name) > 1 and len(names) < 1000:
                problem = f"the name '{excerpt(name.encode())}' twice"
            elif not is_text(name) or any(unicodedata.category(character) == "Cc" for character in name):
                problem = "a control character in a name"
            else:
                continue
            raise BadDataError(f"{self.file}: expected columns with a name of its own each, found {problem}")
        if len(set(names)) < len(names):
            raise BadDataError(f"{self.file}: expected columns with a name of its own each, found some twice")


def partitions(file: str) -> dict[str, str | None]:
    """Return the columns that the folders right above a file name, ``dt=2026-11-01``, with their values in it.

    Raises
    ------
    BadDataError
        Such a name is no UTF-8: of several such values one would be made.
    """
    found: list[tuple[str, str | None]] = []
    for folder in reversed(file.split("/")[:-1]):
        match = _PARTITION.fullmatch(folder)
        if match is None:
            break
        try:
            name, value = (unquote(text, errors="strict") for text in match.groups())
            (name + value).encode()
        except UnicodeError:
            shown = file.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise BadDataError(
                f"{shown}: expected folders that name a column and its value in UTF-8, found "
                f"'{excerpt(folder.encode(errors='surrogateescape'))}'; rename it"
            ) from None
        found.append((name, None if value == _NO_VALUE else value))
    return dict(reversed(found))


def with_partitions(file: str, columns: Sequence[Column]) -> FileColumns:
    """Return the columns of a file, and behind them those of its path that are no columns of its own."""
    known = {column.name for column in columns}
    more = [Column(name, ("text",), "a folder's name") for name in partitions(file) if name not in known]
    return FileColumns(file, (*columns, *more))


def names_of(files: Sequence[FileColumns]) -> tuple[str, ...]:
    """Return the names of all columns, in the order of the first file that has each."""
    return tuple(dict.fromkeys(column.name for file in files for column in file.columns))


def declared(options: TextOptions, files: Sequence[FileColumns]) -> TextOptions:
    """Say of all columns that have no use yet whether they are numbers or texts, as their types have it.

    Raises
    ------
    BadDataError
        A column is a number here and a text there, or of a type that is not read, or not in all files.
    UsageError
        See `roles_of`.
    """
    names = names_of(files)
    options = replace(options, columns=names)
    said = {name for name, role in roles_of(options).items() if role != "either"}
    indexes = tuple(name for name in names if _INDEX.fullmatch(name) and name not in said)
    options = replace(options, drop_columns=(*options.drop_columns, *indexes))
    roles, label_kind = roles_of(options), label_kind_of(options)
    check_types(roles, files)
    check_there(files, [name for name, role in roles.items() if role in _needed(options)])
    open_ = {name for name, role in roles.items() if role == "either" or (role == "label" and label_kind is None)}
    kinds = _merged(files, open_)
    numeric = tuple(name for name in names if kinds.get(name) == "number" and roles[name] != "label")
    texts = tuple(name for name in names if kinds.get(name) == "text")
    return replace(
        options,
        numeric_columns=(*options.numeric_columns, *numeric),
        categorical_columns=(*options.categorical_columns, *texts),
    )


def _needed(options: TextOptions) -> tuple[str, ...]:
    """Return the roles of columns that must be in each file; features need not where values may be missing."""
    extras = ("label", "weight", "offset", "group")
    return (*extras, "either", "numeric", "categorical") if options.missing == "error" else extras


def check_types(roles: Mapping[str, str], files: Sequence[FileColumns]) -> None:
    """Refuse columns that are used and whose types are not read.

    Raises
    ------
    BadDataError
    """
    for file in files:
        for column in file.columns:
            if "unknown" in column.kinds and roles.get(column.name, "dropped") != "dropped":
                name = excerpt(column.name.encode())
                raise BadDataError(
                    f"{file.file}: expected numbers or texts in column '{name}', found {column.type}; leave it out by "
                    f"`drop` '{name}', or write what is in it as columns of its own"
                )


def check_there(files: Sequence[FileColumns], needed: Sequence[str]) -> None:
    """Refuse files without a column that others have and that is needed.

    Raises
    ------
    BadDataError
    """
    for file in files:
        names = {column.name for column in file.columns}
        lacking = [name for name in needed if name not in names]
        if lacking:
            raise BadDataError(
                f"{file.file}: expected the columns {listed(needed)}, found none called {listed(lacking)}; write them, "
                "leave them out by `drop`, or say by `missing` what a feature without a value is"
            )


def _merged(files: Sequence[FileColumns], open_: set[str]) -> dict[str, Kind]:
    """Say of each of these columns whether it holds numbers or texts.

    Raises
    ------
    BadDataError
        Both.
    """
    kinds: dict[str, tuple[Kind, str, str]] = {}
    for file in files:
        for column in file.columns:
            for kind in column.kinds if column.name in open_ else ():
                if kind == "nothing":
                    continue
                known, where, type_there = kinds.setdefault(column.name, (kind, file.file, column.type))
                if known != kind:
                    name = excerpt(column.name.encode())
                    raise BadDataError(
                        f"expected one kind of values in column '{name}', found {known}s ({type_there}) in {where} and "
                        f"{kind}s ({column.type}) in {file.file}; say which by `numeric` '{name}' or `categorical` "
                        f"'{name}', or leave it out by `drop`"
                    )
    return {name: kind for name, (kind, _, _) in kinds.items()}


def needed_of(schema: Schema) -> list[str]:
    """Return the columns without which rows cannot be predicted."""
    part: CsvPart = schema.part
    return [name for name, use in part.columns.items() if use["kind"] in ("numeric", "categorical", "offset")]
