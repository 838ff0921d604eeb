"""Predict raw text rows, range by range."""

from mr_ml.prediction.tasks import PredictRequest, predict_text, predict_to_file
from mr_ml.runners.job import REPORT, TextJob


class MRPredict(TextJob):
    """A job that writes a line of output for each line of text; see `mr_ml.prediction.tasks`."""

    REQUEST = PredictRequest

    def map_opened(self, texts):
        """Yield, for each range, the file with its lines and the report on it.

        Without a folder for such files, on a cluster, the lines are the output of this task.
        """
        if not self.request.folder:
            yield from super().map_opened(texts)
            return
        for text in texts:
            yield predict_to_file(self.request, text)

    def map_text(self, text):
        """Write the lines of one range to the output of this task; yield the report on it."""
        yield REPORT, predict_text(self.request, text, self.stdout.write).encode()


if __name__ == "__main__":
    MRPredict.run()
