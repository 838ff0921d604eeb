"""All losses under all penalties with a root on S3: the same bits as in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from all_at_once import searches
from runner_kinds import Ground
from s3_servers import S3Server


def test_sums_over_blocks_on_s3_are_those_of_a_folder(
    versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = searches(Ground(str(tmp_path / "root"), ("-r", "inline"), str(tmp_path), tmp_path))
    versitygw_server.use(monkeypatch)
    here = tmp_path / "here"
    here.mkdir()
    root = f"s3://{versitygw_server.bucket()}/root"
    assert searches(Ground(root, ("-r", "local", "--workers", "2"), str(here), here)) == there
