"""Read partition files back: facts and feature moments of each; one map task a file."""

from mr_ml.packing.cluster_tasks import Inspection
from mr_ml.packing.tasks import PackRequest
from mr_ml.runners.job import Job


class MRInspect(Job):
    REQUEST = PackRequest

    def mapper_init(self):
        self.task = Inspection(self.request)

    def mapper(self, _, line):
        self.task.add(line)

    def mapper_final(self):
        yield from self.task.results()


if __name__ == "__main__":
    MRInspect.run()
