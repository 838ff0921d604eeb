"""A report as a file: ``mr_ml.report``, and what the command of the same name calls."""

from __future__ import annotations

import os
from contextlib import suppress

from hdfs_layout import Root, open_root
from hdfs_layout.faults import storage_error
from hdfs_layout.owners import owned
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.reports.facts import find_facts
from mr_ml.reports.page import page


def report(
    root: Root | str | os.PathLike[str], reference: str, output: str | os.PathLike[str] | None = None
) -> str:  # fmt: skip
    """Tell what is known of a run or a model on one page of HTML that needs nothing else. No pass is run.

    Parameters
    ----------
    root
        Where datasets, models and runs are kept: a folder, ``hdfs://...``, or what `open_root` returned.
    reference
        A run, or a model: name, ``name@version`` or ``name@latest``.
    output
        Path of a file on this machine that is written, or replaced whole; None for none.

    Returns
    -------
    str
        The page.

    Raises
    ------
    UsageError
        If there is no such run or model, or the package jinja2 is not installed.
    StorageError
        If something cannot be read, or the file cannot be written.
    BadDataError
        If what says what it is, is damaged.

    Examples
    --------
    >>> page = mr_ml.report(root, "iris-softmax", "report.html")
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    stored.chosen(str, reference, "reference")
    text = page(find_facts(open_root(root), reference))
    if output is not None:
        _write(output, text.encode("utf-8"))
    return text


def _write(output: str | os.PathLike[str], data: bytes) -> None:
    path = os.fspath(output)
    if not isinstance(path, str) or not os.path.basename(path):
        raise UsageError(f"`output`: expected the path of a file, found {stored.shown(output)}")
    folder = os.path.dirname(path)
    staged = os.path.join(folder, owned(".report-"))
    try:
        # as predictions and exports do
        os.makedirs(folder or ".", exist_ok=True)
        with open(staged, "xb") as file:
            file.write(data)
        os.replace(staged, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(staged)
        raise storage_error(error, doing="write the report to", place=path) from error
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise
