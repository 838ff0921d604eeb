from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from hdfs_layout import owners
from mr_ml.errors import StorageError
from mr_ml.runners.local import scratch
from mr_ml.runners.local.scratch import scratch_folder

ROOT = str(Path(__file__).parents[3])


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
        scratch_folder(needs_bytes=1).rmdir()
        assert scratch_folder(needs_bytes=1).is_dir()


class TestRemoval:
    def script(self, place, last_line):
        return [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import os, sys, tempfile\n"
            "from mr_ml.runners.local.scratch import scratch_folder\n"
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
            assert owner.stdout is not None
            folder = Path(owner.stdout.readline().strip())
            make_old(folder)
            scratch_folder(needs_bytes=None)
            assert (folder / "file").exists()
            owner.kill()
        assert folder.exists()
        scratch._current.clear()
        ours = scratch_folder(needs_bytes=None)
        assert [path for path in (places / "disk").iterdir() if path != ours] == []

    def test_also_where_this_process_puts_nothing(self, places):
        """What a killed process left in memory may be why there is no room in it."""
        left = places / "memory" / abandoned()
        left.mkdir()
        scratch_folder(needs_bytes=None)
        assert not left.exists()

    @pytest.mark.parametrize("age", ["new", "old"])
    def test_what_another_machine_made_is_given_up_when_it_is_very_old(self, places, monkeypatch, age):
        with monkeypatch.context() as patch:
            patch.setattr(owners, "_hash", lambda: "0" * 8)
            folder = places / "disk" / owners.owned(scratch.PREFIX)
        folder.mkdir()
        if age == "old":
            make_old(folder)
        scratch_folder(needs_bytes=None)
        assert folder.exists() == (age == "new")

    def test_leaves_alone_what_is_not_ours(self, places, monkeypatch):
        names = ["other", scratch.PREFIX + "theirs", abandoned()]
        for name in names:
            (places / "disk" / name).mkdir()
            make_old(places / "disk" / name)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        scratch_folder(needs_bytes=None)
        assert {*names} <= {path.name for path in (places / "disk").iterdir()}

    def test_links_are_not_followed(self, places):
        target = places / "target"
        target.mkdir()
        (target / "file").write_text("x")
        (places / "disk" / abandoned()).symlink_to(target)
        scratch_folder(needs_bytes=None)
        assert (target / "file").read_text() == "x"


def abandoned() -> str:
    """The name of a folder whose process is gone: it began at another time than this one, which has its id."""
    return owners.owned(scratch.PREFIX).replace(f"-{owners.start_of(os.getpid())}-", "-1-")


class TestSocket:
    @pytest.mark.parametrize("length", [20, 200])
    def test_is_short_enough_wherever_temporary_files_go(self, places, monkeypatch, length):
        with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as name:
            short = Path(name)
            monkeypatch.setattr(scratch, "_short_folders", lambda: [short])
            long = short / ("x" * length)
            long.mkdir()
            monkeypatch.setenv("TMPDIR", str(long))
            monkeypatch.setattr(tempfile, "tempdir", str(long))
            folder = scratch.socket_folder()
            assert folder.parent == (long if length == 20 else short)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / "listener-12345678"))

    def test_no_place_is_an_error_with_a_remedy(self, places, monkeypatch):
        long = places / ("x" * 120)
        long.mkdir()
        monkeypatch.setenv("TMPDIR", str(long))
        monkeypatch.setattr(tempfile, "tempdir", str(long))
        monkeypatch.setattr(scratch, "_short_folders", lambda: [places / "nowhere"])
        with pytest.raises(StorageError, match=r"too long .*TMPDIR"):
            scratch.socket_folder()
