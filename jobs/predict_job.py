"""Predict raw text rows, range by range."""

from mr_ml.prediction.tasks import PredictRequest, predict_text, predict_to_file
from mr_ml.runners.job import REPORT, TextJob


class MRPredict(TextJob):
    REQUEST = PredictRequest

    def map_opened(self, texts):
        for text in texts:
            yield predict_to_file(self.request, text)

    def map_text(self, text):
        yield REPORT, predict_text(self.request, text, self.stdout.write).encode()


if __name__ == "__main__":
    MRPredict.run()
