from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mr_ml.engine import scratch
from mr_ml.engine.scratch import scratch_folder
from mr_ml.errors import StorageError

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Stand-ins for shared memory and for the folder of temporary files."""
    monkeypatch.delenv("TMPDIR", raising=False)
    for name in ("memory", "disk"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "memory")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    monkeypatch.setattr(scratch, "_current", {})
    return tmp_path


def make_old(folder: Path) -> None:
    os.utime(folder, (1, 1))


class TestPlace:
    def test_in_memory_where_there_is_room(self, places):
        assert scratch_folder(needs_bytes=1).parent == places / "memory"

    def test_private_and_the_same_again(self):
        folder = scratch_folder(needs_bytes=1)
        assert folder.stat().st_mode & 0o077 == 0
        assert scratch_folder(needs_bytes=1) == folder

    def test_on_disk_if_the_need_is_unknown(self, places):
        assert scratch_folder(needs_bytes=None).parent == places / "disk"

    def test_on_disk_if_the_user_has_set_tmpdir(self, places, monkeypatch):
        monkeypatch.setenv("TMPDIR", str(places / "disk"))
        assert scratch_folder(needs_bytes=1).parent == places / "disk"

    def test_on_disk_if_there_is_no_shared_memory(self, places):
        (places / "memory").rmdir()
        assert scratch_folder(needs_bytes=1).parent == places / "disk"

    @pytest.mark.parametrize(("free_blocks", "place"), [(399, "disk"), (400, "memory")])
    def test_room_is_four_times_the_need(self, places, monkeypatch, free_blocks, place):
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free_blocks, f_frsize=1000))
        assert scratch_folder(needs_bytes=100_000).parent == places / place

    def test_no_place_at_all(self, places, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(places / "nowhere"))
        with pytest.raises(StorageError, match=r"cannot make a temporary folder in .*nowhere.*TMPDIR"):
            scratch_folder(needs_bytes=None)

    def test_made_again_if_somebody_removed_it(self):
        folder = scratch_folder(needs_bytes=1)
        (folder / scratch.LOCK_NAME).unlink()
        folder.rmdir()
        assert scratch_folder(needs_bytes=1).is_dir()


class TestRemoval:
    def script(self, place, last_line):
        return [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import os, sys, tempfile\n"
            "from mr_ml.engine.scratch import scratch_folder\n"
            f"tempfile.tempdir = {str(place)!r}\n"
            "folder = scratch_folder(needs_bytes=None)\n"
            "(folder / 'file').write_text('x')\n"
            "print(folder, flush=True)\n" + last_line,
        ]

    def environment(self):
        return {**os.environ, "PYTHONPATH": ROOT}

    def test_at_the_end_of_the_process(self, places):
        done = subprocess.run(self.script(places / "disk", "sys.exit(3)"), env=self.environment(), check=False)
        assert done.returncode == 3
        assert list((places / "disk").iterdir()) == []

    def test_not_at_the_end_of_a_forked_child(self, places):
        last = "pid = os.fork()\nif pid == 0: sys.exit(0)\nos.waitpid(pid, 0)\nassert (folder / 'file').exists()"
        done = subprocess.run(self.script(places / "disk", last), env=self.environment(), check=False)
        assert done.returncode == 0
        assert list((places / "disk").iterdir()) == []

    def test_by_the_next_process_after_a_kill_but_never_while_the_owner_lives(self, places):
        owner = subprocess.Popen(
            self.script(places / "disk", "sys.stdin.read()"),
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with owner:
            folder = Path(owner.stdout.readline().strip())
            make_old(folder)
            scratch_folder(needs_bytes=None)
            assert (folder / "file").exists()
            owner.kill()
        assert folder.exists()
        scratch._current.clear()
        # Too young to judge by its lock, then old enough.
        os.utime(folder)
        scratch_folder(needs_bytes=None)
        assert folder.exists()
        scratch._current.clear()
        make_old(folder)
        ours = scratch_folder(needs_bytes=None)
        assert not folder.exists()
        assert [path for path in (places / "disk").iterdir() if path != ours] == []

    def test_leaves_alone_what_is_not_ours(self, places, monkeypatch):
        for name in ("other", scratch.PREFIX + "theirs"):
            (places / "disk" / name).mkdir()
            make_old(places / "disk" / name)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        scratch_folder(needs_bytes=None)
        assert {"other", scratch.PREFIX + "theirs"} <= {path.name for path in (places / "disk").iterdir()}

    def test_half_made_folders_go_too(self, places):
        half = places / "disk" / (scratch.PREFIX + "half")
        half.mkdir()
        make_old(half)
        scratch_folder(needs_bytes=None)
        assert not half.exists()

    def test_links_are_not_followed(self, places):
        target = places / "target"
        target.mkdir()
        (target / "file").write_text("x")
        link = places / "disk" / (scratch.PREFIX + "link")
        link.symlink_to(target)
        os.utime(link, (1, 1), follow_symlinks=False)
        make_old(target)
        scratch_folder(needs_bytes=None)
        assert (target / "file").read_text() == "x"
