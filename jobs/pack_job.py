"""Parse text, shuffle mini-blocks by hash, write partitions of blocks."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.engine.local_runner import WarmLocalMixin
from mr_ml.pack.tasks import PackRequest, SpillFile, reduce_key
from mr_ml.readers.source import TextRange


class MRPack(WarmLocalMixin, MRJob):
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
        with SpillFile(self._request()) as spill:
            for text in TextRange.listed(line):
                yield from spill.append(text)

    def reducer(self, key, pointers):
        yield from reduce_key(self._request(), key, pointers)


if __name__ == "__main__":
    MRPack.run()
