"""mr-ml predict: the driver, which puts the lines of all ranges back in order.

The header of a CSV file gives a header; what the other lines hold is said in `mr_ml.predict_tasks`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mr_ml.engine.jobs import LocalJobRunner, TaskLines
from mr_ml.errors import BadDataError, StorageError, UsageError
from mr_ml.model import Model
from mr_ml.predict_tasks import PredictRequest, RangeReport
from mr_ml.readers import formats
from mr_ml.readers.schema import Schema
from mr_ml.readers.source import TextFile, TextRange, expand, first_line, ranges


def predict(
    model: Model,
    inputs: Sequence[str],
    to: str,
    *,
    runner: LocalJobRunner,
    max_bad_rows: int,
    unseen: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Predict every row of the inputs.

    One input file gives one output file `to`; several give a folder `to` with a file for each, of the same name.
    Nothing appears under `to` before everything is done.

    Raises
    ------
    BadDataError
        If there are more bad rows than allowed, or features that the model does not know.
    UsageError
        If `to` exists.
    """
    from mr_ml_jobs.predict_job import MRPredict

    # tasks run in folders of their own
    target = Path(to).absolute()
    if target.exists():
        raise UsageError(f"--to {to} exists; choose another name or remove it")
    files, schema = _bound(expand(inputs), model.schema)
    tasks = ranges(files, n_tasks=runner.n_tasks)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=target.parent, prefix=".predict-")
    except OSError as error:
        raise StorageError(f"cannot write beside {to}: {error.strerror}; choose another --to") from error
    try:
        labels = tuple(model.label_texts)
        request = PredictRequest(schema, model.loss, model.coef, labels, unseen, folder)
        found: dict[tuple[str, int], RangeReport] = {}
        lines = TaskLines([TextRange.listing(task) for task in tasks])
        for key, value in runner.run(MRPredict, request=request.encode(), input=lines):
            file, start = json.loads(key)
            found[file, start] = RangeReport.decode(value)
        wanted = {(text.file, text.start) for task in tasks for text in task}
        if set(found) != wanted:
            raise BadDataError(f"no predictions came back for {sorted(wanted - set(found))[0]}; run it again")
        n_bad = _check_bad(found, max_bad_rows, model.schema, say)
        many = len(files) > 1
        whole = Path(folder) / "whole"
        names = _output_names(files) if many else [""]
        for file, name in zip(files, names, strict=True):
            _join(file, found, whole / name if many else whole, _header(model) if file.header_bytes else b"")
        whole.replace(target)
    except OSError as error:
        raise StorageError(f"cannot write {to}: {error.strerror}; free some space or choose another --to") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    n_rows = sum(report.n_rows for report in found.values())
    outputs = [str(target / name) for name in names] if many else [str(target)]
    return {"model": model.reference, "n_rows": n_rows, "bad_rows": n_bad, "outputs": outputs, "labels": list(labels)}


def _bound(files: Sequence[TextFile], schema: Schema) -> tuple[list[TextFile], Schema]:
    """The files without their headers, and the schema for the columns that they have."""
    lines = [first_line(file) for file in files]
    bound = [formats.bind(schema, line) for line in lines]
    for file, found in zip(files, bound, strict=True):
        if found != bound[0]:
            raise BadDataError(f"{file.path}: expected the columns of {files[0].path}; predict it by itself")
    if schema.format != "csv" or not schema.options.header:
        return list(files), bound[0]
    return [replace(file, header_bytes=len(line)) for file, line in zip(files, lines, strict=True)], bound[0]


def _check_bad(
    found: dict[tuple[str, int], RangeReport], limit: int, schema: Schema, say: Callable[[str], None]
) -> int:
    n_bad = sum(sum(report.bad_counts.values()) for report in found.values())
    if not n_bad:
        return 0
    lines = [f"{n_bad} bad rows:"]
    at = dict.fromkeys((file for file, _ in found), int(schema.format == "csv" and schema.options.header))
    for (file, _), report in sorted(found.items()):
        lines += [f"  {row.kind}: {file}:{at[file] + row.line + 1}: {row.excerpt}" for row in report.bad]
        at[file] += report.n_lines
    text = "\n".join(lines[:21])
    if n_bad > limit:
        raise BadDataError(f"{text}\nNothing was written. Mend the rows, or allow them with --max-bad-rows {n_bad}")
    say(text)
    return n_bad


def _join(file: TextFile, found: dict[tuple[str, int], RangeReport], target: Path, header: bytes) -> None:
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as out:
        out.write(header)
        for key in sorted(key for key in found if key[0] == file.path):
            with open(found[key].path, "rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def _header(model: Model) -> bytes:
    labels = model.label_texts
    columns = ["label", *(f"probability_{label}" for label in labels)] if labels else ["prediction"]
    return ("\t".join(columns) + "\n").encode()


def _output_names(files: Sequence[TextFile]) -> list[str]:
    """File names, made distinct by their folders where they are not."""
    names = [os.path.basename(file.path) for file in files]
    if len(set(names)) == len(names):
        return names
    shared = os.path.commonpath([os.path.dirname(file.path) for file in files])
    return [os.path.relpath(file.path, shared).replace(os.sep, "__") for file in files]
