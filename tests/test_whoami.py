"""What is recorded of who ran a command, and what is not."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest

from mr_ml.whoami import described, whoami


def test_it_is_this_process() -> None:
    found = whoami()
    assert (found["user"], found["pid"]) == (pwd.getpwuid(os.getuid()).pw_name, os.getpid())
    assert found["host"] == subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
    assert described(found) == f"{found['user']} on {found['host']} (process {os.getpid()})"
    assert described({"user": ["x"] * 1000, "pid": "9" * 1000}).count("9") <= 20


@pytest.mark.parametrize(
    ("words", "recorded"),
    [
        (["/usr/bin/mr-ml", "models", "rollback", "ctr"], ["mr-ml", "models", "rollback", "ctr"]),
        (["/site/mr_ml/__main__.py", "retrain", "a b.yaml"], ["mr-ml", "retrain", "a b.yaml"]),
        (["/srv/app.py", "--password", "SECRET"], ["app.py"]),
        (["-c", "SECRET"], ["-c"]),
        ([], [""]),
        (["mr-ml", "--root=hdfs://ann:SECRET@nn:8020/a"], ["mr-ml", "--root=hdfs://...@nn:8020/a"]),
        (["mr-ml", "--root", "https://nn/a?token=SECRET#SECRET"], ["mr-ml", "--root", "https://nn/a?..."]),
        (["mr-ml", "x" * 1000], ["mr-ml", "x" * 200]),
        (["mr-ml", *map(str, range(1000))], ["mr-ml", *map(str, range(40))]),
        (["mr-ml", os.fsdecode(b"\xff")], ["mr-ml", "\\udcff"]),
    ],
)
def test_words_of_the_command_hold_no_secret(
    monkeypatch: pytest.MonkeyPatch, words: list[str], recorded: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    found = whoami()
    assert found["command"] == recorded
    assert "SECRET" not in json.dumps(found)


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as any user."""
    monkeypatch.setattr(os, "getuid", lambda: 123_456_789)
    assert whoami()["user"] == "123456789"
