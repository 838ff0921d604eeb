"""Add to partition files of this machine the rows that belong there beside equal ones elsewhere."""

from mr_ml.packing.equal_rows import MergeTask
from mr_ml.packing.tasks import PackRequest
from mr_ml.runners.job import Job


class MRMerge(Job):
    REQUEST = PackRequest

    def mapper_init(self):
        self.task = MergeTask(self.request)

    def mapper(self, _, line):
        yield from self.task.add(line)

    def mapper_final(self):
        yield from self.task.results()


if __name__ == "__main__":
    MRMerge.run()
