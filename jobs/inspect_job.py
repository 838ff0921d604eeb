"""Read partition files back: facts and feature moments of each; one map task a file."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.pack.cluster_tasks import Inspection
from mr_ml.pack.tasks import PackRequest
from mr_ml.runners.local.mixin import WarmLocalMixin


class MRInspect(WarmLocalMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the pack request: schema and plan")

    def mapper_init(self):
        with open(self.options.request, "rb") as source:
            self.task = Inspection(PackRequest.decode(source.read()))

    def mapper(self, _, line):
        self.task.add(line)

    def mapper_final(self):
        yield from self.task.results()


if __name__ == "__main__":
    MRInspect.run()
