"""Predict raw text rows, range by range."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.engine.local_runner import WarmLocalMixin
from mr_ml.predict_tasks import PredictRequest, predict_range
from mr_ml.readers.source import TextRange


class MRPredict(WarmLocalMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the predict request: model and schema")

    def mapper(self, _, line):
        with open(self.options.request, "rb") as source:
            request = PredictRequest.decode(source.read())
        for text in TextRange.listed(line):
            yield text.key(), predict_range(request, text).encode()


if __name__ == "__main__":
    MRPredict.run()
