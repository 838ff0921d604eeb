"""Add to partition files of this machine the rows that belong there beside equal ones elsewhere."""

from mr_ml.packing.equal_rows import MergeTask
from mr_ml.packing.tasks import PackRequest
from mr_ml.runners.job import Job


class MRMerge(Job):
    """A job that adds rows to partition files of this machine; see `mr_ml.packing.equal_rows.MergeTask`."""

    REQUEST = PackRequest

    def mapper_init(self):
        """Start the task from its request."""
        self.task = MergeTask(self.request)

    def mapper(self, _, line):
        """Add the rows that one line points to; yield what comes of it."""
        yield from self.task.add(line)

    def mapper_final(self):
        """Yield what is known only after the last line."""
        yield from self.task.results()


if __name__ == "__main__":
    MRMerge.run()
