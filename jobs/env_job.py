"""Look at the machines where tasks run: a line of JSON from each task."""

import json

from mr_ml.runners.job import Job
from mr_ml.runners.node_report import report


class MREnv(Job):
    # On a cluster the request is a program of its own, which needs nothing of what it looks for.
    CLUSTER_COMMAND = ("sh", "request")

    def mapper(self, _, line):
        yield line, json.dumps(report()).encode()


if __name__ == "__main__":
    MREnv.run()
