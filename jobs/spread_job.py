"""Shuffle the lines of partition files once more, so that equal rows come where they belong."""

from mr_ml.packing.cluster_tasks import SpreadReduceTask, sent
from mr_ml.packing.equal_rows import spread_line
from mr_ml.packing.tasks import PackRequest
from mr_ml.runners.job import Job


class MRSpread(Job):
    """A job that sends rows of partition files to other partitions; see `mr_ml.packing.equal_rows.spread_line`."""

    REQUEST = PackRequest

    def mapper(self, _, line):
        """Yield the mini-block of one line by its partition."""
        plan = self.request.plan
        partition, data = spread_line(line, plan)
        yield sent(partition, data, n_reducers=plan.n_partitions)

    def reducer_init(self):
        """Start the reduce task from its request."""
        self.task = SpreadReduceTask(self.request)

    def reducer(self, key, values):
        """Yield the lines of the partition file of one key."""
        yield from self.task.add(key, values)


if __name__ == "__main__":
    MRSpread.run()
