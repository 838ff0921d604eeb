"""The driver of a prediction: find the files, have their rows scored, put the lines of all ranges back in order.

`mr_ml.prediction.outputs` has the formats of the output.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.open import path_of, scheme_of
from mr_ml.errors import BadDataError, InternalError, UsageError
from mr_ml.interrupts import see_through
from mr_ml.models.base import Model
from mr_ml.prediction.choices import PredictChoices
from mr_ml.prediction.output import Target
from mr_ml.prediction.outputs.base import Columns, OutputFormat
from mr_ml.prediction.tasks import PredictRequest, RangeReport
from mr_ml.readers.base import format_by_names, format_named
from mr_ml.readers.rows import BAD_KINDS, listed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Runner, TaskFile, TextSource
from mr_ml.runners.reading import reading

_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_MAGIC = frozenset("*?[{")
_SHOWN = 3


@dataclass(frozen=True)
class Scored:
    """The output lines of one range of text.

    Attributes
    ----------
    report
        What they are; its file is one of those that were asked for, by its user's name.
    left
        Their bytes.
    """

    report: RangeReport
    left: TaskFile


def predict(
    model: Model,
    inputs: Sequence[str],
    *,
    runner: Runner,
    output: Target,
    form: OutputFormat,
    choices: PredictChoices,
    say: Callable[[str], None],
    longest_line: int | None = None,
) -> dict[str, Any]:
    """Predict every row of the inputs.

    One input that is a file gives one file; whatever else gives a folder with a file for each file, of the same path
    below what all inputs share, without the suffix of compressed files. Nothing appears before everything is done.

    Parameters
    ----------
    form
        How the output is written.
    longest_line
        As of `Runner.text`.

    Raises
    ------
    BadDataError
        If there are more bad rows than allowed; a row with features that the model does not know is one, unless these
        are ignored.
    UsageError
        If the output exists, or there is nothing to keep of the names that are asked for.
    InternalError
        If not every line of input has its line of output.
    """
    with runner.text(inputs, longest_line=longest_line) as text:
        keep = tuple(dict.fromkeys(choices.keep))
        asked = format_named(model.schema.format).with_unseen(model.schema, choices.unseen)
        files, schema = _bound(text, asked, keep, say)
        columns = Columns(keep, tuple(model.label_texts), model.has_probabilities)
        names = [""] * len(files) if output.is_one else output_names([f.path for f in files], inputs, form=form)
        uris = [output.uri(name) for name in dict.fromkeys(names)]
        with output:
            folder = output.scratch if runner.tasks.share_files else ""
            request = PredictRequest(schema, model.predictor(), columns, folder, form.name)
            with _scored(runner, text, request, files) as scored:
                n_bad = _check_bad(scored, choices.max_bad_rows, model.schema, say)
                n_lost = _say_lost(scored, model.schema, say)
                parts: dict[str, list[Scored]] = {file.path: [] for file in files}
                for part in sorted(scored, key=lambda part: part.report.start):
                    parts[part.report.file].append(part)
                for name in dict.fromkeys(names):
                    of_name = [file for file, other in zip(files, names, strict=True) if other == name]
                    lines = _lines([part for file in of_name for part in parts[file.path]])
                    has_header = bool(of_name[0].header_bytes)
                    output.write(name, form.file(columns, lines, has_header=has_header))
                see_through()
                output.publish()
    n_rows, n_unseen = (sum(getattr(part.report, name) for part in scored) for name in ("n_rows", "n_unseen"))
    if n_unseen:
        what = format_named(model.schema.format).unseen[0]
        say(f"{n_unseen} unseen values were ignored: of {what} that the model's data did not have")
    return {
        "model": model.reference, "n_rows": n_rows, "bad_rows": n_bad, "unseen_values": n_unseen, "not_finite": n_lost,
        "outputs": uris, "labels": list(columns.labels),
    }  # fmt: skip


@contextmanager
def _scored(
    runner: Runner, text: TextSource, request: PredictRequest, files: Sequence[TextFile]
) -> Iterator[list[Scored]]:
    """All rows scored, in ranges that tile the files. One job."""
    from mr_ml_jobs.predict_job import MRPredict

    with ExitStack() as stack:
        with text.renaming():
            left = runner.left(MRPredict, request=request.encode(), input=text.input(files, request.schema.format))
            with reading("scoring text", files, runner):
                task_files = stack.enter_context(left)
        parts, places = [], []
        for task_file in task_files:
            report = RangeReport.decode(task_file.report)
            place = text.place(report.file, report.start, report.n_read)
            places.append(place)
            parts.append(Scored(replace(report, file=place.file), task_file))
        text.check_read(files, request.schema.format, places, doing="scoring")
        text.check_rest(files)
        yield parts


def _lines(parts: Sequence[Scored]) -> Iterator[bytes]:
    """Join the lines of one file, whole ones; they and their bytes must be as many as its tasks reported."""
    for part in parts:
        held = b""
        n_bytes = n_lines = 0
        for chunk in part.left.lines():
            n_bytes, n_lines = n_bytes + len(chunk), n_lines + chunk.count(b"\n")
            whole, line_feed, rest = chunk.rpartition(b"\n")
            if line_feed:
                yield held + whole + line_feed
            held = rest if line_feed else held + rest
        expected, counted = (part.report.n_written, part.report.n_lines), (n_bytes, n_lines)
        if counted != expected:
            raise InternalError(
                f"the predictions for {part.report.file} from byte {part.report.start} are not complete: expected "
                f"{expected[1]} lines in {expected[0]} bytes, found {counted[1]} in {counted[0]}; run it again"
            )


def _bound(
    text: TextSource, schema: Schema, keep: tuple[str, ...], say: Callable[[str], None]
) -> tuple[list[TextFile], Schema]:
    """Find the files without their headers, and the schema for the columns that they have."""
    form = format_named(schema.format)
    try:
        files, bound = form.bind(text.files, schema, first_line=text.first_line)
    except BadDataError as error:
        other = format_by_names([file.path for file in text.files])
        if other in (None, schema.format):
            raise
        raise BadDataError(
            f"The model was trained on {schema.format} and reads only that; by their names the files are {other}. "
            f"Write them as {schema.format}, or give them as a data frame to `mr_ml.load(...).predict`, which knows "
            f"columns by name. What was found: {error}"
        ) from error
    # an empty file has no columns
    if keep and any(file.size for file in files):
        form.check_kept(bound, keep)
    unknown = [name for name in form.unknown_columns(schema, bound) if name not in keep]
    if unknown:
        say(f"left out, for the model does not know them: the columns {listed(unknown)}")
    return files, bound


def _check_bad(parts: Sequence[Scored], limit: int, schema: Schema, say: Callable[[str], None]) -> int:
    n_bad = sum(sum(part.report.bad_counts.values()) for part in parts)
    if not n_bad:
        return 0
    counts: Counter[str] = sum((Counter(part.report.bad_counts) for part in parts), Counter())
    examples: dict[str, list[str]] = {kind: [] for kind in sorted(counts)}
    for report, first in _in_order(parts, schema):
        for row in report.bad:
            examples[row.kind].append(f"    {report.file}:{first + row.line}: {row.excerpt}")
    lines = [f"{n_bad} bad rows of {schema.format} text, which is what the model reads:"]
    for kind, shown in examples.items():
        lines += [f"  {kind} ({counts[kind]}): {BAD_KINDS[kind]}", *shown[:_SHOWN]]
    text = "\n".join(lines)
    if n_bad > limit:
        raise BadDataError(f"{text}\nNothing was written. Fix the rows, or allow them with `max_bad_rows` {n_bad}")
    say(text)
    return n_bad


def _say_lost(parts: Sequence[Scored], schema: Schema, say: Callable[[str], None]) -> int:
    n_lost = sum(part.report.n_lost for part in parts)
    if n_lost:
        report, first = next((report, first) for report, first in _in_order(parts, schema) if report.n_lost)
        say(
            f"warning: the predictions for {n_lost} rows are not finite, first for {report.file}:"
            f"{first + report.lost_line}; look for huge feature values or offsets"
        )
    return n_lost


def _in_order(parts: Sequence[Scored], schema: Schema) -> Iterator[tuple[RangeReport, int]]:
    """Sort reports by file and place, with the number of the first line of each in its file."""
    reports = sorted((part.report for part in parts), key=lambda report: (report.file, report.start))
    at = dict.fromkeys(
        (report.file for report in reports), 1 + format_named(schema.format).header_lines(schema.options)
    )
    for report in reports:
        yield report, at[report.file]
        at[report.file] += report.n_lines


def output_names(paths: Sequence[str], inputs: Sequence[str], *, form: OutputFormat) -> list[str]:
    """Where the output of each file goes, below the output's own name; an empty name for the one file of one input.

    They get the suffix of the output format, if it gives one and they do not have it.

    Raises
    ------
    UsageError
        If two of them would go to one place.
    """
    places = [_place(path) for path in paths]
    if len(inputs) == 1 and places == [_place(inputs[0])]:
        return [""]
    shared = _shared(places, inputs)
    names = [os.path.relpath(place, shared) for place in places]
    plain = [name.removesuffix(next((s for s in _SUFFIXES if name.endswith(s)), "")) for name in names]
    suffix = form.suffix if form.names_files else ""
    plain = [name if name.endswith(suffix) else name + suffix for name in plain]
    if len(set(plain)) < len(plain):
        twice = next(name for name in plain if plain.count(name) > 1)
        raise UsageError(
            f"expected files of different names, found {plain.count(twice)} whose output would be {twice!r}; predict "
            "them separately"
        )
    return plain


def _shared(places: Sequence[str], inputs: Sequence[str]) -> str:
    """Return the folder to which the names of outputs are relative.

    With one input it follows from that input alone, not from the files that are there.
    """
    if len(inputs) == 1:
        given = _place(inputs[0])
        if all(place.startswith(f"{given}/") for place in places):
            return given
        parts = given.split("/")
        fixed = next((k for k, part in enumerate(parts) if _MAGIC & set(part)), len(parts))
        # a glob that matches folders names what is in them
        if all(place.startswith("/".join([*parts[:fixed], ""])) for place in places):
            return "/".join(parts[:fixed]) or "/"
    return os.path.commonpath([os.path.dirname(place) for place in places])


def _place(path: str) -> str:
    """Strip a path of what says on which machine it is."""
    return os.path.normpath(path_of(path)) if scheme_of(path) else os.path.abspath(path)
