"""Parse text, shuffle mini-blocks by hash, write partitions of blocks."""

from mr_ml.packing.cluster_tasks import ShuffledReduceTask, reported, sent
from mr_ml.packing.spill import SpillFile
from mr_ml.packing.tasks import REPORT, PackRequest, ReduceTask, pack_text, spill_text
from mr_ml.runners.job import TextJob


class MRPack(TextJob):
    """A job that parses text and writes one partition file for each reduce key; see `mr_ml.packing.tasks`."""

    REQUEST = PackRequest
    # passed on as they are
    LIGHT_KEYS = frozenset({REPORT})

    def map_opened(self, texts):
        """Yield pointers to the rows of each range by partition, then a report on it; rows go into a file.

        Without a folder for such files, on a cluster, the rows themselves.
        """
        if not self.request.spill:
            yield from super().map_opened(texts)
            return
        with SpillFile(self.request.spill) as spill:
            for text in texts:
                yield from spill_text(self.request, text, spill)

    def map_text(self, text):
        """Yield the mini-blocks of one range by partition, then a report on it."""
        n_partitions = self.request.plan.n_partitions
        for partition, data in pack_text(self.request, text):
            if partition is None:
                yield reported(data, n_partitions=n_partitions)
            else:
                yield sent(partition, data, n_reducers=n_partitions + 1)

    def reducer_init(self):
        """Start the reduce task from its request."""
        # where there is a folder for rows, the values point into its files
        self.task = ReduceTask(self.request) if self.request.spill else ShuffledReduceTask(self.request)

    def reducer(self, key, values):
        """Write the partition of one key; yield what comes of it."""
        yield from self.task.add(key, values)

    def reducer_final(self):
        """Yield what is known only after the last partition: the moments of features."""
        yield from self.task.results()


if __name__ == "__main__":
    MRPack.run()
