"""Run SQL over a table of rows in Spark, in a process of its own, since a JVM takes over signals.

A line of stdin is a JSON list: SQL, names and types of the table's columns, rows. A line of stdout is the list of the
names of the result's columns, and its rows.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType

# of expressions that run once for a few rows classes are not worth making
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.sql.codegen.wholeStage", "false").config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
session = builder.getOrCreate()
for line in sys.stdin:
    sql, names, kinds, rows = json.loads(line)
    types = {"double": DoubleType(), "string": StringType()}
    fields = [StructField("n", IntegerType()), *(StructField(n, types[k]) for n, k in zip(names, kinds, strict=True))]
    table = session.createDataFrame([(i, *row) for i, row in enumerate(rows)], StructType(fields))
    table.createOrReplaceTempView("rows")
    result = session.sql(sql)
    print(json.dumps([result.columns, [list(row) for row in result.collect()]]), flush=True)
