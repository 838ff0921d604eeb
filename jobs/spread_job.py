"""Shuffle the lines of partition files once more, so that equal rows come where they belong."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.pack.cluster_tasks import SpreadReduceTask, sent
from mr_ml.pack.equal_rows import spread_line
from mr_ml.pack.tasks import PackRequest
from mr_ml.runners.local.mixin import WarmLocalMixin


class MRSpread(WarmLocalMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    INTERNAL_PROTOCOL = BytesProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the pack request: schema and plan")

    def _request(self):
        with open(self.options.request, "rb") as source:
            return PackRequest.decode(source.read())

    def mapper_init(self):
        self.plan = self._request().plan

    def mapper(self, _, line):
        partition, data = spread_line(line, self.plan)
        yield sent(partition, data, n_reducers=self.plan.n_partitions)

    def reducer_init(self):
        self.task = SpreadReduceTask(self._request())

    def reducer(self, key, values):
        yield from self.task.add(key, values)


if __name__ == "__main__":
    MRSpread.run()
