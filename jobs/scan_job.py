"""Look at all of the text once: rows, features, labels, columns, bad rows."""

from mr_ml.packing.tasks import ScanRequest, scan, summary_line
from mr_ml.runners.job import TextJob


class MRScan(TextJob):
    REQUEST = ScanRequest

    def map_text(self, text):
        summary = summary_line(scan(self.request, text))
        # a text that is fed says only now how much it was
        yield text.key(), summary


if __name__ == "__main__":
    MRScan.run()
