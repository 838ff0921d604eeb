"""Look at the machines where tasks run: a line of JSON from each task."""

import json

from mr_ml.runners.job import Job
from mr_ml.runners.node_report import report


class MREnv(Job):
    """A job that reports on the machine of each task: Python, packages, memory."""

    # On a cluster the request is a program of its own, which needs nothing of what it looks for.
    CLUSTER_COMMAND = ("sh", "request")

    def mapper(self, _, line):
        """Yield the line and, in JSON, a report on the machine."""
        yield line, json.dumps(report()).encode()


if __name__ == "__main__":
    MREnv.run()
