"""Look at all of the text once: rows, features, labels, columns, bad rows."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.pack.tasks import ScanRequest, scan, summary_line
from mr_ml.readers.base import listed
from mr_ml.runners.hadoop.fed_text import FedTextMixin


class MRScan(FedTextMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the scan request")

    def mapper(self, _, line):
        for text in listed(line):
            yield from self.map_text(text)

    def map_text(self, text):
        with open(self.options.request, "rb") as source:
            request = ScanRequest.decode(source.read())
        summary = summary_line(scan(request, text))
        yield text.key(), summary


if __name__ == "__main__":
    MRScan.run()
