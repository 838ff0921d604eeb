"""One pass over the data: map blocks to statistics, add them along the fixed tree."""

from mrjob.compat import jobconf_from_env
from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.passes.request import PassRequest
from mr_ml.passes.tasks import MapTask, reduce_sums
from mr_ml.runners.local.mixin import WarmLocalMixin


class MRPass(WarmLocalMixin, MRJob):
    # the driver adds up what it gets, of one reduce task or of several map tasks
    REDUCE_FROM_BYTES = 64 << 20

    INPUT_PROTOCOL = BytesValueProtocol
    INTERNAL_PROTOCOL = BytesProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the pass request: query and plan")

    def _request(self):
        with open(self.options.request, "rb") as source:
            return PassRequest.decode(source.read(), where="the pass request")

    def mapper_init(self):
        self.task = MapTask(self._request(), n_reducers=int(jobconf_from_env("mapreduce.job.reduces", "1")))

    def mapper(self, _, line):
        self.task.add(line)

    def mapper_final(self):
        yield from self.task.results()

    def reducer_init(self):
        self.request = self._request()

    def reducer(self, key, values):
        yield from reduce_sums(self.request, key, values)


if __name__ == "__main__":
    MRPass.run()
