"""Look at all of the text once: rows, features, labels, columns, bad rows."""

from mr_ml.packing.tasks import ScanRequest, scan, summary_line
from mr_ml.runners.job import TextJob


class MRScan(TextJob):
    """A job that summarises each range of text; see `mr_ml.packing.tasks.scan`."""

    REQUEST = ScanRequest

    def map_text(self, text):
        """Yield the key of one range and the summary of its rows."""
        summary = summary_line(scan(self.request, text))
        # the key of streamed text has its length only when all of it was read
        yield text.key(), summary


if __name__ == "__main__":
    MRScan.run()
