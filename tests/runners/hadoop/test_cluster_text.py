"""By which addresses a job reads its text: in place where Hadoop would read it as it is, else as a copy."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from far_store import far_stores

from hdfs_layout import open_root, open_store
from mr_ml.errors import InternalError, UsageError
from mr_ml.runners.hadoop import file_systems
from mr_ml.runners.hadoop.file_systems import FileSystem
from mr_ml.runners.hadoop.text import ClusterText

ROWS = b"1 1:1\n0 1:2\n"
WHOLE = "mapreduce.input.fileinputformat.split.minsize"


@pytest.fixture(autouse=True)
def _read_by_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(file_systems, "FILE_SYSTEMS", {"far": FileSystem(few_files=1)})
    with far_stores("far", "closer"):
        yield


def test_where_jobs_read(tmp_path: Path) -> None:
    """Hadoop's own codec can be put away for one suffix, that of the most bytes."""
    far = open_store(f"far://{tmp_path}/raw")
    files = {
        "a": ROWS,
        "b.gz": gzip.compress(ROWS * 5000),
        "c.bz2": bz2.compress(ROWS),
        "d,1": ROWS,
        "e[1].gz": gzip.compress(ROWS),
    }
    for name, data in files.items():
        far.write(name, data)
    (tmp_path / "here.gz").write_bytes(files["e[1].gz"])
    root = open_root(str(tmp_path / "root"))
    with ClusterText(root, [f"far://{tmp_path}/raw", str(tmp_path / "here.gz")]) as source:
        read = source.input(source.files, "libsvm")
        uris = dict(zip([file.path for file in source.files], read.uris(), strict=True))
        in_place = {far.uri("a"), far.uri("b.gz")}
        assert {name for name, uri in uris.items() if uri == name} == in_place
        for name, uri in uris.items():
            if name not in in_place:
                assert Path(uri).name.isdigit()
                assert Path(uri).read_bytes() == files.get(name.rpartition("/")[2], files["e[1].gz"])
            assert source.place(uri, 0).file == name
        assert read.properties["io.compression.codecs"] == "org.apache.hadoop.io.compress.PassthroughCodec"
        assert read.properties["io.compress.passthrough.extension"] == ".gz"
        assert read.properties[WHOLE] == str(1 << 60)
    assert root.store.walk("") == ()


def test_plain_text_needs_no_codec(tmp_path: Path) -> None:
    open_store(f"far://{tmp_path}/raw").write("a", ROWS)
    with ClusterText(open_root(str(tmp_path / "root")), [f"far://{tmp_path}/raw/*"]) as source:
        read = source.input(source.files, "libsvm")
    assert WHOLE not in read.properties
    assert not [name for name in read.properties if name.startswith("io.")]


def test_files_of_one_path_in_two_buckets(tmp_path: Path) -> None:
    """Told apart by the bucket, where tasks spell it as the driver does."""
    source = ClusterText.__new__(ClusterText)
    source._names = {
        "/rows": {"one/rows": "s3://one/rows", "two/rows": "s3://two/rows"},
        "/x": {"nn:8020/x": "hdfs://nn:8020/x"},
    }
    assert source.place("s3a://two/rows", 7).file == "s3://two/rows"
    assert source.place("hdfs://namenode/x", 7).file == "hdfs://nn:8020/x"
    for name in ("s3a://three/rows", "hdfs://nn:8020/y"):
        with pytest.raises(InternalError, match="none of the input files"):
            source.place(name, 0)


def test_what_jobs_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="read files of hdfs://, s3a://, s3://, or files of this"):
        ClusterText(open_root(str(tmp_path)), ["closer:///rows"])
