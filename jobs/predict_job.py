"""Predict raw text rows, range by range."""

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.predict.tasks import REPORT, PredictRequest, predict_text, predict_to_file
from mr_ml.readers.base import listed
from mr_ml.runners.hadoop.fed_text import FedTextMixin


class MRPredict(FedTextMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    OUTPUT_PROTOCOL = BytesProtocol

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the predict request: model and schema")

    def _request(self):
        with open(self.options.request, "rb") as source:
            return PredictRequest.decode(source.read())

    def mapper(self, _, line):
        request = self._request()
        for text in listed(line):
            yield REPORT, predict_to_file(request, text).encode()

    def map_text(self, text):
        yield REPORT, predict_text(self._request(), text, self.stdout.write).encode()


if __name__ == "__main__":
    MRPredict.run()
