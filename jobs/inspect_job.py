"""Read partition files back: facts and feature moments of each; one map task a file."""

from mr_ml.packing.cluster_tasks import Inspection
from mr_ml.packing.tasks import PackRequest
from mr_ml.runners.job import Job


class MRInspect(Job):
    """A job that reads partition files back; see `mr_ml.packing.cluster_tasks.Inspection`."""

    REQUEST = PackRequest

    def mapper_init(self):
        """Start the task from its request."""
        self.task = Inspection(self.request)

    def mapper(self, _, line):
        """Read one line of the file."""
        self.task.add(line)

    def mapper_final(self):
        """Yield the facts of the file and the moments of its features."""
        yield from self.task.results()


if __name__ == "__main__":
    MRInspect.run()
