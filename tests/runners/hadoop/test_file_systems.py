"""Which roots the jobs of a cluster can use, and what is said of others."""

from __future__ import annotations

import pytest

from hdfs_layout.open import STORES
from mr_ml.errors import UsageError
from mr_ml.runners.hadoop.file_systems import FILE_SYSTEMS, check_root, cluster_reads


@pytest.mark.parametrize("root", ["hdfs:///user/me", "HDFS://nn:8020/x", "s3://bucket/root", "s3a://bucket"])
def test_roots_that_jobs_read_by_the_same_address(root: str) -> None:
    check_root(root)
    assert cluster_reads(root)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("/data/ml", "hdfs:///user/NAME/mr_ml or s3a://BUCKET/mr_ml"),
        ("file:///data/ml", "s3a://BUCKET"),
        ("toy://somewhere", "hdfs://..., s3a://..., s3://...; found toy://somewhere"),
        ("webhdfs://nn:9870/data/ml", "Give `root` hdfs:///data/ml with HADOOP_CONF_DIR set"),
        ("swebhdfs://nn/data", "hdfs:///data with"),
        ("s3a://bucket/a b", "the root s3a://bucket/a b"),
        ("hdfs:///a[1]", "read [ ] in a path as something else"),
    ],
)
def test_others_are_refused_with_what_to_do(root: str, said: str) -> None:
    with pytest.raises(UsageError) as found:
        check_root(root)
    assert said in str(found.value)


def test_each_is_the_scheme_of_a_store() -> None:
    assert set(FILE_SYSTEMS) <= set(STORES)
