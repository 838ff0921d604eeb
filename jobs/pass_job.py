"""One pass over the data: map blocks to statistics, add them along the fixed tree."""

from mrjob.compat import jobconf_from_env

from mr_ml.passes.request import PassRequest
from mr_ml.passes.tasks import MapTask, reduce_sums
from mr_ml.runners.job import Job


class MRPass(Job):
    """A job that maps one query over the blocks of a dataset; see `mr_ml.passes.tasks`."""

    REQUEST = PassRequest
    # the driver adds up what it gets, of one reduce task or of several map tasks
    REDUCE_FROM_BYTES = 64 << 20

    def mapper_init(self):
        """Start the map task from its request."""
        self.task = MapTask(self.request, n_reducers=int(jobconf_from_env("mapreduce.job.reduces", "1")))

    def mapper(self, _, line):
        """Map the blocks that one line names or holds."""
        self.task.add(line)

    def mapper_final(self):
        """Yield the sums of this task by their nodes of the tree."""
        yield from self.task.results()

    def reducer(self, key, values):
        """Add up the sums of one key along the tree."""
        yield from reduce_sums(self.request, key, values)


if __name__ == "__main__":
    MRPass.run()
