"""Look at the machines where tasks run: a line of JSON from each task."""

import json

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.runners.hadoop.node_report import report
from mr_ml.runners.local.mixin import WarmLocalMixin


class MREnv(WarmLocalMixin, MRJob):
    INPUT_PROTOCOL = BytesValueProtocol
    OUTPUT_PROTOCOL = BytesProtocol
    # On a cluster the request is a program of its own, which needs nothing of what it looks for.
    CLUSTER_COMMAND = ("sh", "request")

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--request", help="the program that looks at a node")

    def mapper(self, _, line):
        yield line, json.dumps(report()).encode()


if __name__ == "__main__":
    MREnv.run()
