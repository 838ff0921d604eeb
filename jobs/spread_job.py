"""Shuffle the lines of partition files once more, so that equal rows come where they belong."""

from mr_ml.packing.cluster_tasks import SpreadReduceTask, sent
from mr_ml.packing.equal_rows import spread_line
from mr_ml.packing.tasks import PackRequest
from mr_ml.runners.job import Job


class MRSpread(Job):
    REQUEST = PackRequest

    def mapper(self, _, line):
        plan = self.request.plan
        partition, data = spread_line(line, plan)
        yield sent(partition, data, n_reducers=plan.n_partitions)

    def reducer_init(self):
        self.task = SpreadReduceTask(self.request)

    def reducer(self, key, values):
        yield from self.task.add(key, values)


if __name__ == "__main__":
    MRSpread.run()
