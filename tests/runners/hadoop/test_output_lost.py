"""A job that ended well, without what its reduce tasks wrote, runs once more; then it is an error that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mr_ml_jobs.pass_job import MRPass

from hdfs_layout import Layout, LocalStore, Root
from mr_ml.errors import UnavailableError
from mr_ml.runners.base import StoredLines
from mr_ml.runners.hadoop.client import Submission
from mr_ml.runners.hadoop.env import NodePython
from mr_ml.runners.hadoop.file_systems import file_system_of
from mr_ml.runners.hadoop.runner import HadoopJobRunner
from mr_ml.runners.hadoop.settings import HadoopSettings

ROOT = "hdfs://cluster/root"


@dataclass(frozen=True)
class Folder(LocalStore):
    """A store that says that it lies on HDFS."""

    def uri(self, path: str) -> str:
        return f"{ROOT}/{path}"


class Forgetful:
    """A client whose jobs end well; their part files are those of each go."""

    def __init__(self, folder: Path, *goes: Sequence[str]) -> None:
        self.folder, self.goes, self.outputs = folder, list(goes), list[str]()

    def run(self, arguments: Sequence[str], submission: Submission) -> None:
        output = arguments[arguments.index("-output") + 1].removeprefix(f"{ROOT}/")
        self.outputs.append(output)
        assert not (self.folder / output).exists()
        (self.folder / output).mkdir(parents=True)
        for name in self.goes.pop(0):
            (self.folder / output / name).write_bytes(b"")

    def stop(self, tag: str) -> bool:
        raise AssertionError(tag)


def runner_with(client: Forgetful, monkeypatch: pytest.MonkeyPatch) -> HadoopJobRunner:
    monkeypatch.setattr("mr_ml.runners.hadoop.runner.check_root", lambda root: None)
    on_hdfs = file_system_of(ROOT)
    monkeypatch.setattr("mr_ml.runners.hadoop.runner.file_system_of", lambda root: on_hdfs)
    runner = HadoopJobRunner(Root(Folder(str(client.folder)), Layout(ROOT)), HadoopSettings(reducers=2))
    vars(runner).update(_client=client, python=NodePython(command=("python3",)), _code_uri=f"{ROOT}/code.zip")
    vars(runner).update(_native_files={})
    return runner


INPUT = StoredLines((f"{ROOT}/lines",), n_bytes=1)


def test_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    client = Forgetful(tmp_path, ["part-00000"], ["part-00000", "part-00001"])
    assert runner_with(client, monkeypatch).run(MRPass, request=b"{}", input=INPUT) == []
    assert len(client.outputs) == 2
    assert "expected the files of 2 reduce task(s)" in caplog.text
    assert "found 1, though the job ended well" in caplog.text


def test_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Forgetful(tmp_path, [], [])
    with pytest.raises(UnavailableError, match=r"found 0, .* it ran 2 times\. Look at the cluster's nodes"):
        runner_with(client, monkeypatch).run(MRPass, request=b"{}", input=INPUT)
    assert client.goes == []
    assert not list(tmp_path.glob("root/tmp/*"))
