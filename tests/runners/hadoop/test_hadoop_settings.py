"""The settings file of a cluster: strict, and what becomes of it in Hadoop's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mr_ml.errors import StorageError, UsageError
from mr_ml.runners.hadoop.settings import HadoopSettings, load_settings


def load(tmp_path: Path, text: str) -> HadoopSettings:
    path = tmp_path / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(str(path))


def test_without_a_file_all_is_left_to_the_cluster() -> None:
    assert load_settings(None).properties(input_bytes=1 << 40) == {}


def test_every_setting(tmp_path: Path) -> None:
    text = """
    hadoop_home: /opt/hadoop
    conf_dir: /etc/hadoop/conf
    streaming_jar: /opt/streaming.jar
    python: /opt/python/bin/python3
    python_archive: hdfs://n/conda.tar.gz
    queue: nightly
    priority: HIGH
    map_memory_mb: 1024
    reduce_memory_mb: 2048
    map_vcores: 1
    reduce_vcores: 2
    reducers: 4
    split_mb: 64
    speculative: false
    pack_in_driver_mb: 0
    jobconf: {mapreduce.task.timeout: 60000, mapreduce.map.maxattempts: 2, some.flag: true}
    """
    settings = load(tmp_path, text)
    assert (settings.hadoop_home, settings.conf_dir) == ("/opt/hadoop", "/etc/hadoop/conf")
    assert (settings.streaming_jar, settings.python, settings.reducers) == (
        "/opt/streaming.jar", "/opt/python/bin/python3", 4,
    )  # fmt: skip
    assert (settings.pack_in_driver_mb, HadoopSettings().pack_in_driver_mb) == (0, 256)
    assert settings.python_archive == "hdfs://n/conda.tar.gz"
    assert settings.properties(input_bytes=(640 << 20) + 1) == {
        "mapreduce.job.queuename": "nightly",
        "mapreduce.job.priority": "HIGH",
        "mapreduce.map.memory.mb": "1024",
        "mapreduce.reduce.memory.mb": "2048",
        "mapreduce.map.cpu.vcores": "1",
        "mapreduce.reduce.cpu.vcores": "2",
        "mapreduce.job.maps": "11",
        "mapreduce.input.fileinputformat.split.minsize": str(64 << 20),
        "mapreduce.map.speculative": "false",
        "mapreduce.reduce.speculative": "false",
        "mapreduce.task.timeout": "60000",
        "mapreduce.map.maxattempts": "2",
        "some.flag": "true",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pyhton: x", "pyhton"),
        ("- python", "expected lines"),
        ("python: [a", "expected YAML"),
        ("python: 3", "expected a text"),
        ("python_archive: conda.tar.gz", "python.tar.gz"),
        ("python_archive: hdfs://n/conda.rar", "python.tar.gz"),
        ("python_archive: 'hdfs://n/a.zip,hdfs://n/b.zip'", "python.tar.gz"),
        ("reducers: 0", "from 1 on"),
        ("idle_seconds: 5", "from 20 on"),
        ("reducers: true", "from 1 on"),
        ("split_mb: 1.5", "from 1 on"),
        ("pack_in_driver_mb: -1", "from 0 on"),
        ("speculative: maybe", "true or false"),
        ("priority: SOON", "VERY_HIGH"),
        ("jobconf: [a]", "PROPERTY"),
        ("jobconf: {'a b': 1}", "'a b'"),
        ("jobconf: {a: [1]}", "one value"),
        ("python: !!python/object/apply:os.getcwd []", "expected YAML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as found:
        load(tmp_path, text)
    assert said in str(found.value)
    assert "cluster.yaml" in str(found.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.yaml"):
        load_settings(str(tmp_path / "none.yaml"))


def test_an_empty_file(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing yet\n") == HadoopSettings()
