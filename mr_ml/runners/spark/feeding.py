"""How Spark feeds the lines of files to tasks: by its reader of text, from whatever file system the cluster reads.

Every piece of a file is a partition of its own, as a split is of Hadoop's, unless lines of many files may be mixed.
The reader keeps bytes as they are, which Spark's other one, ``textFile``, does not.
"""

from __future__ import annotations

from typing import Any

from mr_ml.runners.hadoop.streamed_text import PACKED, PROPERTY, WITH_HEADER
from mr_ml.runners.job_input import JobInput
from mr_ml.runners.spark.tasks import Text

_WHOLE = "mapreduce.input.fileinputformat.split.minsize"
# Properties that say which files Hadoop leaves compressed.
_CODECS = "io.compress"
# No file is as long.
_ENDLESS = 1 << 60
# What Spark adds to the size of each file when it puts small ones together; its own.
_OPEN_BYTES = 4 << 20


def text_of(input: JobInput) -> Text | None:
    """Say how the input is fed as text; None if it is not text but lines of ours."""
    told = input.properties.get(PROPERTY)
    return None if told is None else Text(has_header=told == WITH_HEADER, is_packed=PACKED in input.properties)


def rows(session: Any, input: JobInput, *, split_bytes: int) -> Any:
    """Return the RDD of what Spark reads: rows of a line, and of text what `mr_ml.runners.spark.tasks` says."""
    from pyspark.sql import functions

    piece = _ENDLESS if _WHOLE in input.properties else split_bytes
    session.conf.set("spark.sql.files.maxPartitionBytes", str(piece))
    session.conf.set("spark.sql.files.openCostInBytes", str(_OPEN_BYTES if input.n_mixable else piece))
    value = functions.col("value").cast("binary")
    columns = [value]
    if text_of(input) is not None:
        columns += [functions.expr(f"input_file_{what}()") for what in ("name", "block_start", "block_length")]
    decoding = {name: value for name, value in input.properties.items() if name.startswith(_CODECS)}
    reader = session.read.options(**decoding)
    return reader.text(list(input.uris()), lineSep="\n").select(*columns).rdd


def kept(rows: Any) -> Any:
    """Have Spark keep rows: in memory, and on the disks of the nodes what does not fit."""
    from pyspark import StorageLevel

    return rows.persist(StorageLevel.MEMORY_AND_DISK)
