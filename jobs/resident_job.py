"""Tasks that stay for a whole training and answer the queries of its passes."""

import os
import sys

from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.task import run
from mr_ml.runners.job import Job


class MRResident(Job):
    """A job whose map tasks serve the driver; see `mr_ml.passes.resident`. What they are fed says nothing."""

    REQUEST = Invitation

    def mapper(self, _, line):
        """Let the line pass: there is one for each task, so that there are as many tasks."""

    def mapper_final(self):
        """Serve the driver; yield nothing."""
        run(self.request, environment=os.environ, say=_say)
        return ()


def _say(text):
    print(f"reporter:status:{text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    MRResident.run()
