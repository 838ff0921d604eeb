"""A root with a clock of its own, on a local store and on one that is no folder of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from world import RemoteStore, World

import mr_ml
from hdfs_layout import Root, open_root


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one dataset, and one model of it."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "text").write_text("0 1:0.5\n1 1:2 2:1\n" * 8)
    mr_ml.pack(folder / "root", folder / "text", "rows")
    mr_ml.train(folder / "root", "rows", "m", l2=1.0)
    return folder / "root"


@pytest.fixture(params=["local", "remote"])
def world(request: pytest.FixtureRequest, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # nothing here is about crashes of the machine
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    folder = tmp_path / "root"
    folder.mkdir()
    root = open_root(folder)
    if request.param == "remote":
        root = Root(RemoteStore(str(folder)), root.layout)
    return World(root, folder, template)
