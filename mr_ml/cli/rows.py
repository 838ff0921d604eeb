"""What `train` is given to learn from: a dataset, or files of rows, which are packed first.

One word that can be the name of a dataset is one, unless a file is called so and no dataset is: what trained on a
dataset goes on to do so, whatever comes to lie in the folder. All else are files: what can be no name (``./iris``,
``iris/``, ``s3://...``, ``*.csv``), several words, and what stands beside ``--to``.
"""

from __future__ import annotations

import argparse
import os

from hdfs_layout import Root, latest_version
from hdfs_layout.dataclass import dataclass
from hdfs_layout.paths import parse_reference
from mr_ml.errors import NotFoundError, UsageError


@dataclass(frozen=True)
class Rows:
    """What a training learns from.

    Attributes
    ----------
    dataset
        As the user names it; None if there are files.
    files
        Files, folders and globs, to be packed; none where `--split-inputs` names all.
    note
        What the user should know of how the word was taken.
    """

    dataset: str | None = None
    files: tuple[str, ...] = ()
    note: str | None = None


def are_given(options: argparse.Namespace) -> bool:
    """Whether the command line says what to learn from."""
    return bool(options.rows or options.split_inputs)


def modules_for(options: argparse.Namespace) -> list[str]:
    """Return what worker processes will have to import for a command, as far as its words tell."""
    modules: list[str] = options.worker_modules
    if "file_modules" in options and are_given(options) and (_must_be_files(options) or _is_file(*options.rows)):
        return [*options.file_modules, *modules]
    return modules


def rows_of(options: argparse.Namespace, root: Root) -> Rows:
    """Tell a dataset from files.

    Raises
    ------
    UsageError
        If it is a dataset, and options are given that say how rows are packed.
    """
    if _must_be_files(options):
        return Rows(files=tuple(options.rows))
    [name] = options.rows
    is_file = _is_file(name)
    if is_file and latest_version(root.store, root.layout.dataset(name)) is None:
        return Rows(files=(name,))
    for option in options.packing:
        if vars(options)[option] != options.parser.get_default(option):
            given = f"./{name}" if is_file else "such as ./rows.csv"
            raise UsageError(
                f"--{option.replace('_', '-')} is for rows in files, which are packed first, but {name} is taken for a "
                f"dataset, which is packed already; leave it out, or give a file by its path, {given}"
            )
    if "=" in options.split:
        raise UsageError(
            f"`split`: expected the name of a split of the dataset {name}, found {options.split!r}; shares are for "
            "rows in files, which are packed first"
        )
    note = f"{name} is taken for the dataset of this name; the file that is called so too is ./{name}"
    return Rows(dataset=name, note=note if is_file else None)


def nor_a_file(error: NotFoundError, name: str) -> NotFoundError:
    """Return the error that there is no such dataset, and that there is no such file either."""
    return type(error)(f"{error} There is no file {name!r} here either, whose rows could be packed first.")


def _must_be_files(options: argparse.Namespace) -> bool:
    return len(options.rows) != 1 or options.to is not None or bool(options.split_inputs) or not _is_name(*options.rows)


def _is_name(word: str) -> bool:
    try:
        parse_reference(word, kind="dataset")
    except UsageError:
        return False
    return True


def _is_file(word: str) -> bool:
    # what names a version means a dataset, whatever files are called
    return "@" not in word and os.path.lexists(word)
