"""Parse text, shuffle mini-blocks by hash, write partitions of blocks."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.pack.cluster_tasks import ShuffledReduceTask, reported, sent
from mr_ml.pack.spill import SpillFile
from mr_ml.pack.tasks import PackRequest, ReduceTask, pack_text, spill_text
from mr_ml.readers.base import listed
from mr_ml.runners.hadoop.fed_text import FedTextMixin


class MRPack(FedTextMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    INTERNAL_PROTOCOL = BytesProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the pack request: schema and plan")

    def _request(self):
        with open(self.options.request, "rb") as source:
            return PackRequest.decode(source.read())

    def mapper(self, _, line):
        request = self._request()
        with SpillFile(request.spill) as spill:
            for text in listed(line):
                yield from spill_text(request, text, spill)

    def map_text(self, text):
        request = self._request()
        n_partitions = request.plan.n_partitions
        for partition, data in pack_text(request, text):
            if partition is None:
                yield reported(data, n_partitions=n_partitions)
            else:
                yield sent(partition, data, n_reducers=n_partitions + 1)

    def reducer_init(self):
        request = self._request()
        # where there is a folder for rows, the values point into its files
        self.task = ReduceTask(request) if request.spill else ShuffledReduceTask(request)

    def reducer(self, key, values):
        yield from self.task.add(key, values)

    def reducer_final(self):
        yield from self.task.results()


if __name__ == "__main__":
    MRPack.run()
