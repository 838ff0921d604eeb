"""What the command line says to a slip of the pen, and what it takes where."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from commands import Commands, environment

from mr_ml.cli import main, printable
from mr_ml.cli.parser import make_parser


@pytest.fixture
def abc(mr_ml: Commands, tmp_path: Path) -> Commands:
    """A root with a dataset and a model."""
    text = tmp_path / "abc.csv"
    text.write_text("length,width,label\n1,2,0\n2,1,1\n3,5,0\n1,1,1\n")
    mr_ml("pack", text, "--to", "flowers")
    mr_ml("train", "flowers", "--model", "petals", "--l2", "0.1", "-r", "inline")
    return mr_ml


@pytest.mark.parametrize(
    ("line", "meant"),
    {
        "trian flowers": "train",
        "models lsit": "list",
        "train flowers --model m --los squared": "--loss",
        "train flowers --model m --loss poison": "poisson",
        "train flowers --model m --penalty-space scald": "scaled",
        "train flowers --model m --solver neton": "newton",
        "train flowers --model m -r locla": "local",
        "train flowers --model m --engine residnt": "resident",
        "train Flower --model m": "flowers",
        "models show petal": "petals",
        "pack {text} --to x --label-column lable": "label",
        "pack {text} --to x --drop lenght": "length",
        "pack {text} --to x --format cvs": "csv",
    }.items(),
    ids=str,
)
def test_what_was_meant_is_asked(line: str, meant: str, abc: Commands, tmp_path: Path) -> None:
    found = abc.run(*line.format(text=tmp_path / "abc.csv").split())
    assert found.code in (2, 74)
    assert f"did you mean '{meant}'?" in found.err
    assert len(found.err.splitlines()) <= 2


def test_nothing_is_asked_after_what_is_like_nothing(abc: Commands) -> None:
    assert "did you mean" not in abc.run("train", "zzz", "--model", "m").err + abc.run("qqq").err


def test_letters_that_hide_or_reorder_others_are_spelled() -> None:
    """Those that a report spells too, whatever Unicode calls them; words of languages stay as they are."""
    assert printable("gr\xf6\xdfe\u202etxt\x1b[31m\xad\ufeff") == "gr\xf6\xdfe\\u202etxt\\x1b[31m\\xad\\ufeff"
    for text in (
        "\u540d\u524d",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f52c",
        "a\tb\n",
    ):
        assert printable(text) == text
    letters = [chr(k) for k in range(0x80, 0x110000) if unicodedata.category(chr(k)) in ("Cc", "Cf", "Zl", "Zp")]
    assert {c for c in letters if printable(c) == c} == {"\u200c", "\u200d"}


def test_options_of_all_commands_stand_anywhere(abc: Commands, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    for line in (
        f"--root {root} --json models list",
        f"models --json --root {root} list",
        f"models list --root {root} --json",
    ):
        found = subprocess.run(
            [sys.executable, "-m", "mr_ml", *line.split()],
            env=environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0
        assert '"petals"' in found.stdout


@pytest.mark.parametrize("line", [(), ("models",), ("runs",)])
def test_without_a_command_there_is_help(line: tuple[str, ...], mr_ml: Commands) -> None:
    found = mr_ml.run(*line)
    assert found.code == 2
    assert "usage: mr-ml" in found.err
    assert "show" in found.err or "train" in found.err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mr-ml tra", {"train"}),
        ("mr-ml train flow", {"flowers"}),
        ("mr-ml train tab", {"tables", "table.csv"}),
        ("mr-ml train flowers --loss poisson --penalty-space ", {"raw", "scaled"}),
        ("mr-ml models show pe", {"petals"}),
        ("mr-ml train flowers --loss po", {"poisson"}),
        ("mr-ml train flowers --solver proximal-n", {"proximal-newton"}),
        ("mr-ml train flowers --model m -r in", {"inline"}),
        ("mr-ml export petals --as p", {"pmml", "python"}),
        ("mr-ml pack x --to y --format li", {"libsvm"}),
        ("mr-ml predict petals x --output-format js", {"jsonl"}),
        ("mr-ml models show petals --fe", {"--features"}),
        ("mr-ml --root hdfs://nowhere/x models show pe", set()),
    ],
)
def test_completion(line: str, expected: set[str], abc: Commands, tmp_path: Path) -> None:
    pytest.importorskip("argcomplete", reason="needs mr_ml[completion]")
    (tmp_path / "table.csv").touch()
    (tmp_path / "root" / "datasets" / "tables").mkdir()
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    done = subprocess.run(
        [sys.executable, "-c", "from mr_ml.cli import run; run()"],
        env={
            **environment(),
            **asked,
            "MR_ML_ROOT": str(tmp_path / "root"),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
        cwd=tmp_path,
        check=True,
    )
    assert done.returncode == 0
    assert {word.strip() for word in answer.read_text().split("\n")} - {""} == expected


def test_bash_completes(abc: Commands, tmp_path: Path) -> None:
    """The line that the documents give, in a real bash."""
    pytest.importorskip("argcomplete", reason="needs mr_ml[completion]")
    folder = Path(sys.executable).parent
    if not (folder / "mr-ml").exists() or not (folder / "register-python-argcomplete").exists():
        pytest.skip("mr-ml is not installed beside this Python")
    script = """
        eval "$(register-python-argcomplete mr-ml)"
        COMP_LINE='mr-ml models show pet'; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
        COMP_WORDS=(mr-ml models show pet); COMP_CWORD=3
        _python_argcomplete mr-ml pet show; echo "${COMPREPLY[@]}"
    """
    env = {**environment(), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "MR_ML_ROOT": str(tmp_path / "root")}
    said = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert shlex.split(said.stdout) == ["petals"], said.stderr


def test_a_project_file_says_what_options_are(abc: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MR_ML_ROOT", raising=False)
    (tmp_path / "mr_ml.toml").write_text(f'root = "{abc.root}"\nrunner = "nowhere"\nworkers = 3\n')
    assert main(["models", "show", "petals"]) == 0
    options = make_parser().parse_args(["train", "flowers", "--model", "m"])
    assert (options.root, options.runner, options.workers, options.memory) == (str(abc.root), "nowhere", 3, None)
    # what is said counts more, and so does the variable
    options = make_parser().parse_args(["train", "flowers", "--model", "m", "-r", "inline", "--root", "other"])
    assert (options.root, options.runner) == ("other", "inline")
    monkeypatch.setenv("MR_ML_ROOT", "of the variable")
    assert make_parser().parse_args(["models", "list"]).root == "of the variable"


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "root = data": "expected lines such as",
        'rot = "data"': "did you mean 'root'?",
        "root = 1.5": "mr_ml.toml: root: expected a text",
        "root = 5": "mr_ml.toml: root: expected a text",
        "root = true": "found True",
        'root = ""': "found ''",
        '[train]\nl2 = "1"': "found 'train'",
        "workers = 0": "mr_ml.toml: workers: expected a whole number of at least 1 and at most 1024, found '0'",
        'workers = "two"': "mr_ml.toml: workers: expected a whole number, found 'two'",
        'memory = "lots"': "mr_ml.toml: memory: expected a size such as 500M or 2G, found 'lots'",
        "memory = 1.5": "mr_ml.toml: memory: expected a size in bytes",
    }.items(),
    ids=str,
)
def test_what_is_wrong_in_a_project_file_is_said(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mr_ml: Commands
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mr_ml.toml").write_text(text)
    found = mr_ml.run("train", "flowers", "--model", "m", "-r", "inline")
    assert found.code == 2
    assert said in found.err
    assert "Traceback" not in found.err


def test_a_project_file_of_another_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "mr_ml.toml").write_text('runner = "of another user"\n')
    monkeypatch.chdir(tmp_path / "below")
    assert make_parser().parse_args(["train", "flowers", "--model", "m"]).runner == "local"


@pytest.mark.parametrize(
    "line",
    [
        "train flowers --model m --loss logistic --loss squared",
        "train flowers --model m --class-weights 0=2 --class-weights 1=3",
        "evaluate petals flowers --by length --by width",
    ],
)
def test_what_can_be_said_once_is_not_said_twice(line: str, abc: Commands) -> None:
    found = abc.run(*line.split())
    assert found.code == 2
    assert "is given twice" in found.err


def test_lists_add_up(abc: Commands, tmp_path: Path) -> None:
    text = tmp_path / "lists.csv"
    text.write_text("a,b,c,d,label\n1,2,x,4,0\n2,-,z,5,1\n3,1,x,6,0\n1,none,y,7,1\n")
    found = abc(
        "pack", text, "--to", "lists", "--drop", "a", "--drop", "d", "--categorical", "b", "--categorical", "c",
        "--missing-markers", "-", "--missing-markers", "none", "--missing", "drop",
    )  # fmt: skip
    assert found["columns"]["dropped"] == ["a", "d"]
    assert sorted(found["columns"]["categorical"]) == ["b", "c"]


def test_predictions_are_not_called_compressed(abc: Commands, tmp_path: Path) -> None:
    found = abc.run("predict", "petals", tmp_path / "abc.csv", "--to", tmp_path / "out.tsv.gz")
    assert found.code == 2
    assert "not compressed" in found.err
