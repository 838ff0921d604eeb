"""Jobs for the tests of the local runners; the tests import them, and so do the workers."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys

from mrjob.job import MRJob
from mrjob.protocol import JSONProtocol, RawValueProtocol
from mrjob.step import MRStep

from mr_ml.errors import BadDataError
from mr_ml.runners.local.mixin import WarmLocalMixin

LINES_SEEN_BY_THIS_PROCESS: list[bytes] = []


def task_number() -> int:
    return int(os.environ["mapreduce_task_partition"])  # noqa: SIM112 - Hadoop's name for it


class Job(WarmLocalMixin, MRJob):
    INTERNAL_PROTOCOL = JSONProtocol
    OUTPUT_PROTOCOL = JSONProtocol


class WordCount(Job):
    def mapper(self, _, line):
        for word in line.split():
            yield word, 1

    def combiner(self, word, counts):
        self.increment_counter("toy", "combined")
        yield word, sum(counts)

    def reducer(self, word, counts):
        self.increment_counter("toy", "words")
        yield word, sum(counts)


class TwoSteps(WordCount):
    """How many words there are of every count."""

    def steps(self):
        return [
            MRStep(mapper=self.mapper, combiner=self.combiner, reducer=self.reducer),
            MRStep(mapper=self.by_count, reducer=self.total),
        ]

    def by_count(self, word, count):
        yield count, word

    def total(self, count, words):
        yield count, sorted(words)


class MapTasks(Job):
    """A line for every map task: its number, its process, the file behind its standard input, its lines."""

    def mapper_init(self):
        self.lines = []
        self.file = os.readlink(f"/proc/self/fd/{sys.stdin.fileno()}")

    def mapper(self, _, line):
        self.lines.append(line)

    def mapper_final(self):
        yield task_number(), [os.getpid(), self.file, self.lines]


class ReduceTasks(Job):
    """A line for every reduce task: its number and its keys, in the order in which they came."""

    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--reduces")

    def jobconf(self):
        return {} if self.options.reduces is None else {"mapreduce.job.reduces": self.options.reduces}

    def mapper(self, _, line):
        for key in line.split():
            yield key, 1

    def reducer_init(self):
        self.keys = []

    def reducer(self, key, values):
        self.keys.append([key, sum(values)])

    def reducer_final(self):
        yield task_number(), self.keys


class NeedNotReduce(ReduceTasks):
    """Leaves words as map tasks wrote them if these are less than 40 bytes altogether: a line of `"w"<tab>1` is six."""

    REDUCE_FROM_BYTES = 40


class NeedNotReduceTwice(NeedNotReduce):
    """Only the second step's reduce task can be left out."""

    def steps(self):
        return [MRStep(mapper=self.mapper, reducer=self.total), MRStep(mapper=self.same, reducer=self.total)]

    def same(self, key, values):
        yield key, values

    def total(self, key, values):
        yield key, [list(values)]


class OnlyReducesLast(NeedNotReduceTwice):
    """The second step has no map tasks whose output could be left."""

    def steps(self):
        return [MRStep(mapper=self.mapper, reducer=self.total), MRStep(reducer=self.total)]


class SortedValues(Job):
    SORT_VALUES = True

    def mapper(self, _, line):
        key, value = line.split()
        yield key, value

    def reducer(self, key, values):
        yield key, list(values)


class Fails(Job):
    """Fails the way its input says in the place that --where names."""

    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--where", default="mapper")
        self.add_passthru_arg("--how", default="bad_data")

    def _maybe(self, where):
        if where == self.options.where:
            FAILURES[self.options.how]()

    def mapper(self, _, line):
        print("on its way", file=sys.stderr)
        yield line, 1
        self._maybe("mapper")

    def combiner(self, key, values):
        yield key, sum(values)
        self._maybe("combiner")

    def reducer(self, key, values):
        yield key, sum(values)
        self._maybe("reducer")


def _bad_data():
    raise BadDataError("part-00001: expected 5 blocks, found 4")


def _key_error():
    raise KeyError("missing")


def _change_everything():
    with contextlib.suppress(ImportError):
        importlib.import_module("toy_module_that_is_nowhere")
    os.chdir("/")
    os.environ["TOY_LEFT_BEHIND"] = "1"
    os.environ.pop("HOME", None)
    sys.path.append("/left/behind")
    sys.stdout = sys.stderr = sys.stdin = None
    raise KeyError("changed everything")


FAILURES = {
    "bad_data": _bad_data,
    "key_error": _key_error,
    "sys_exit": lambda: sys.exit(0),
    "os_exit": lambda: os._exit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "change_everything": _change_everything,
    "change_everything_and_go_on": lambda: _ignore(_change_everything),
}


def _ignore(function):
    streams = sys.stdin, sys.stdout, sys.stderr
    try:
        function()
    except KeyError:
        sys.stdin, sys.stdout, sys.stderr = streams


class Warm(Job):
    """How many lines this process has seen since it started."""

    def mapper(self, _, line):
        LINES_SEEN_BY_THIS_PROCESS.append(line)
        yield line, [os.getpid(), len(LINES_SEEN_BY_THIS_PROCESS)]


class ReadsFile(Job):
    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--query")

    def mapper(self, _, line):
        with open(self.options.query) as query:
            yield line, [query.read(), os.path.realpath(self.options.query)]


class RawFiles(Job):
    def mapper_raw(self, path, uri):
        with open(path) as lines:
            yield os.path.basename(uri), lines.read()


class Prints(Job):
    OUTPUT_PROTOCOL = RawValueProtocol

    def mapper(self, _, line):
        print("a warning", file=sys.stderr)
        print("printed äöü")
        yield None, line
        yield None, "carriage\rreturn"
        yield None, ""


class Partitioned(WordCount):
    PARTITIONER = "org.apache.hadoop.mapred.lib.HashPartitioner"


class Options(Job):
    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--number", type=int, default=1)
        self.add_passthru_arg("--word", action="append")
        # begins as an option of mrjob's does
        self.add_passthru_arg("--jobconfig")

    def mapper(self, _, line):
        yield line, [self.options.number, self.options.word, self.options.jobconfig]


class OnDisk(WordCount):
    SCRATCH_BYTES = None


if __name__ == "__main__":
    WordCount.run()
