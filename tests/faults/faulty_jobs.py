"""The jobs of mr_ml with one fault each; workers import them from here.

Faults of a pass strike the map task that reads partition 1, others of the same pass are innocent.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mr_ml_jobs.pack_job import MRPack
from mr_ml_jobs.pass_job import MRPass
from mr_ml_jobs.predict_job import MRPredict
from mr_ml_jobs.scan_job import MRScan

from mr_ml.packing.tasks import REPORT
from mr_ml.passes.request import ranges_of, task_line

Pairs = Iterator[tuple[bytes, bytes]]


class Struck(MRPass):
    """Notices whether this task is the one; the faults are below."""

    struck = False

    def mapper(self, _: Any, line: bytes) -> None:
        ranges = ranges_of(line)
        self.struck = any(r.partition == 1 for r in ranges)
        super().mapper(_, task_line(self.changed(ranges)) if self.struck else line)

    def changed(self, ranges: Any) -> Any:
        return ranges


class ExitsHalfWay(Struck):
    def changed(self, ranges: Any) -> Any:
        super().mapper(None, task_line(ranges[: len(ranges) // 2]))
        os._exit(0)


class ExitsPolitely(Struck):
    def changed(self, ranges: Any) -> Any:
        super().mapper(None, task_line(ranges[: len(ranges) // 2]))
        sys.exit(0)


class ExitsAtTheEnd(Struck):
    def mapper_final(self) -> Pairs:
        yield from super().mapper_final()
        if self.struck:
            sys.exit()


class Killed(Struck):
    def changed(self, ranges: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
        return ranges


class ForgetsItsOutput(Struck):
    def mapper_final(self) -> Pairs:
        pairs = list(super().mapper_final())
        yield from () if self.struck else pairs


class ForgetsALine(Struck):
    def mapper_final(self) -> Pairs:
        pairs = list(super().mapper_final())
        yield from pairs[:-1] if self.struck else pairs


class RepeatsItsOutput(Struck):
    def mapper_final(self) -> Pairs:
        pairs = list(super().mapper_final())
        yield from pairs * 2 if self.struck else pairs


class SkipsABlock(Struck):
    def changed(self, ranges: Any) -> Any:
        return [type(r)(r.path, r.partition, r.first, r.offset, r.line_bytes[:-1], r.file_bytes) for r in ranges]


class SkipsAPartition(Struck):
    def changed(self, ranges: Any) -> Any:
        return [r for r in ranges if r.partition != 1]


class ReadsARangeTwice(Struck):
    def changed(self, ranges: Any) -> Any:
        return [*ranges, *ranges[:1]]


class ReadsAnotherPlace(Struck):
    def changed(self, ranges: Any) -> Any:
        r = ranges[0]
        return [type(r)(r.path, r.partition, r.first, r.offset + 1, r.line_bytes, r.file_bytes), *ranges[1:]]


class GarblesALine(Struck):
    def mapper_final(self) -> Pairs:
        for key, value in super().mapper_final():
            half = len(value) // 2
            other = b"A" if value[half : half + 1] != b"A" else b"B"
            yield key, value[:half] + other + value[half + 1 :] if self.struck else value


class CutsALine(Struck):
    def mapper_final(self) -> Pairs:
        for key, value in super().mapper_final():
            yield key, value[: len(value) // 2] if self.struck else value


class Reducing(MRPass):
    """With a reduce task, however little there is to add."""

    REDUCE_FROM_BYTES = 0


class ReducerLosesALine(Reducing):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        yield from list(super().reducer(key, values))[:-1]


class ReducerLosesAnInput(Reducing):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        yield from super().reducer(key, list(values)[1:])


class ReducerRepeatsALine(Reducing):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        yield from list(super().reducer(key, values)) * 2


class ReducerExits(Reducing):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        os._exit(0)
        yield from ()


class Raises(Struck):
    def changed(self, ranges: Any) -> Any:
        raise ZeroDivisionError("the test's own")


class ScanExits(MRScan):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield next(iter(super().mapper(_, line)))
        os._exit(0)


class ScanForgets(MRScan):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield from list(super().mapper(_, line))[1:]


class PackExits(MRPack):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield next(iter(super().mapper(_, line)))
        os._exit(0)


class PackExitsPolitely(MRPack):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield next(iter(super().mapper(_, line)))
        sys.exit(0)


class PackForgetsRows(MRPack):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        pairs = list(super().mapper(_, line))
        yield from pairs[1:]


class PackRepeatsRows(MRPack):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        pairs = list(super().mapper(_, line))
        yield from [*pairs, *(pair for pair in pairs[:1] if pair[0] != REPORT)]


class PackForgetsTheReport(MRPack):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield from (pair for pair in super().mapper(_, line) if pair[0] != REPORT)


class PackRepeatsEverything(MRPack):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield from list(super().mapper(_, line)) * 2


class PackReducerForgets(MRPack):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        pairs = list(super().reducer(key, values))
        yield from () if key == b"%08d" % 1 else pairs


class PackReducerLosesInput(MRPack):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        yield from super().reducer(key, values if key == REPORT else list(values)[1:])


class PackReducerExits(MRPack):
    def reducer(self, key: bytes, values: Any) -> Pairs:
        if key == b"%08d" % 1:
            os._exit(0)
        yield from super().reducer(key, values)


class ChangesTheInput(MRPack):
    """For -r inline: the file and its new content are set on the class."""

    changed: tuple[Path, str] = (Path(), "")

    def mapper(self, _: Any, line: bytes) -> Pairs:
        path, content = self.changed
        path.write_text(content)
        yield from super().mapper(_, line)


class PredictExits(MRPredict):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield next(iter(super().mapper(_, line)))
        os._exit(0)


class PredictForgets(MRPredict):
    def mapper(self, _: Any, line: bytes) -> Pairs:
        yield from list(super().mapper(_, line))[1:]


class Waits(Struck):
    """Tells its process id to whoever reads the file that MR_ML_TEST_PIPE names, and waits for what comes."""

    def changed(self, ranges: Any) -> Any:
        with open(os.environ["MR_ML_TEST_PIPE"], "w") as pipe:
            pipe.write(f"{os.getpid()}\n")
        signal.pause()
        return ranges
