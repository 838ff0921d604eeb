"""`mr-ml train FILE...` is `mr-ml pack` and `mr-ml train` in one process: the same bytes, bits, words and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_csv, write_libsvm

SPLIT = ("--split", "train=0.75,test=0.25", "--seed", 3)
FIT = ("--l2", "0.01", "--solver", "lbfgs", "--max-passes", 6)


@pytest.fixture
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(tmp_path / "root", ("-r", "inline"))


def table(path: Path, *, n: int = 200, seed: int = 0) -> Path:
    """CSV with a category, weights and labels that depend on the rest."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    colour = rng.choice(["red", "green", "blue"], n)
    label = (x[:, 0] + (colour == "red") + rng.logistic(size=n) > 0).astype(int)
    columns = {"a": x[:, 0], "b": x[:, 1], "colour": colour.tolist(), "w": rng.integers(1, 4, n), "hit": label}
    return write_csv(path, columns)


def in_two(root: Path, runner: tuple[str, ...], files: list[object], packing: tuple[object, ...]) -> Commands:
    """The oracle: the two commands, with a root of their own."""
    commands = Commands(root, runner)
    commands("pack", *files, "--to", "d", *SPLIT, *packing)
    commands("train", "d", "--model", "m", *FIT)
    return commands


def folders(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) if root.exists() else []


RUNNERS = [("-r", "inline"), ("-r", "local", "--workers", "2"), ("-r", "local", "--workers", "1")]


@pytest.mark.parametrize("runner", RUNNERS, ids=" ".join)
def test_bytes_and_bits_are_those_of_the_two_commands(runner: tuple[str, ...], tmp_path: Path) -> None:
    files: list[object] = [table(tmp_path / f"rows{k}.csv", seed=k) for k in range(2)]
    packing = ("--label-column", "hit", "--weight-column", "w", "--folds", 2, "--partitions", 2)
    two = in_two(tmp_path / "two", runner, files, packing)
    one = Commands(tmp_path / "one", runner)
    said = one("train", *files, "--model", "m", "--to", "d", *SPLIT, *packing, *FIT)
    assert said["packed"]["dataset"] == "d"
    assert said["packed"]["version"] == 1
    assert one.partition_hashes("d@1") == two.partition_hashes("d@1")
    assert one.coef("m@1").coef.tobytes() == two.coef("m@1").coef.tobytes()
    assert one.coef("m@1").intercept.tobytes() == two.coef("m@1").intercept.tobytes()
    described, expected = one("describe", "d"), two("describe", "d")
    assert described == expected


def test_json_is_what_both_say(inline: Commands, tmp_path: Path) -> None:
    """On one line, and nothing else on stdout: the training's, and beside it the pack's with its warnings."""
    rows = table(tmp_path / "rows.csv", n=60)
    # of so few rows the shares are off, which a pack says
    chosen = ("--label-column", "hit", "--split", "train=0.5,test=0.5", "--drop", "w,a,b,colour")
    packed = inline("pack", rows, "--to", "by-itself", *chosen)
    trained = inline("train", "by-itself", "--model", "by-itself", *FIT)
    done = inline.run("train", rows, "--model", "m", *chosen, *FIT, "--json")
    assert done.code == 0
    [line] = done.out.splitlines()
    said = json.loads(line)
    assert said.pop("packed") == {**packed, "dataset": "m"}
    assert packed["warnings"]
    assert set(said) == set(trained)
    assert {**said, "model": 0, "run": 0, "seconds": 0} == {**trained, "model": 0, "run": 0, "seconds": 0}


def test_as_text_both_are_on_stdout(inline: Commands, tmp_path: Path) -> None:
    rows = table(tmp_path / "rows.csv")
    done = inline.run("train", rows, "--model", "m", "--label-column", "hit", "--quiet")
    assert done.code == 0
    assert done.err == ""
    first, *_, last = done.out.splitlines()
    assert first.startswith("m@1: 200 rows x 6 features")
    assert last.startswith("converged")
    assert inline.run("describe", "m").out.startswith(first)


def test_each_time_it_makes_a_version(inline: Commands, tmp_path: Path) -> None:
    rows = table(tmp_path / "rows.csv")
    for version in (1, 2):
        said = inline("train", rows, "--model", "m", "--label-column", "hit", "--to", "d")
        assert (said["version"], said["packed"]["version"]) == (version, version)
    assert inline("models", "show", "m@1")["dataset"] == "d@1"
    assert inline("models", "show", "m@2")["dataset"] == "d@2"


# --- datasets and files -----------------------------------------------------------------------------------------------


def test_a_dataset_goes_before_a_file_of_its_name(inline: Commands, tmp_path: Path) -> None:
    """Who trained on a dataset goes on to do so, whatever comes to lie beside it; and is told."""
    rows = table(tmp_path / "rows.csv", n=50).rename(tmp_path / "rows")
    chosen = ("--label-column", "hit", "--format", "csv")
    assert inline("train", "rows", "--model", "m", *chosen)["packed"]["n_rows"] == 50
    inline("pack", table(tmp_path / "other.csv", n=80), "--to", "rows", "--label-column", "hit")
    taken = inline.run("train", "rows", "--model", "m", "--json")
    assert "packed" not in taken.result
    assert "rows is taken for the dataset of this name; the file that is called so too is ./rows" in taken.err
    assert inline("models", "show", "m")["dataset"] == "rows@1"
    quiet = inline.run("train", "rows@latest", "--model", "m", "--json")
    assert "is taken for" not in quiet.err
    for words in (["./rows"], [rows], ["rows", "--to", "d"]):
        assert inline("train", *words, "--model", "m", *chosen)["packed"]["n_rows"] == 50
    # what names a version is never a file
    rows.rename(tmp_path / "nothing@1")
    found = inline.run("train", "nothing@1", "--model", "m")
    assert (found.code, "expected the name of a dataset" in found.err) == (2, True)


def test_what_is_neither_is_told_so(inline: Commands) -> None:
    found = inline.run("train", "rows.csv", "--model", "m")
    assert found.code == 74
    assert "found none" in found.err
    assert "There is no file 'rows.csv' here either" in found.err


HOSTILE = [
    "two words.csv",
    "-r.csv",
    "a@2.csv",
    "\x1b[31mred.csv",
    "$(touch x);'\".csv",
    "[ab]*?.csv",
    "\u202egnp.csv",
    "k=v.csv",
    "..csv",
    "`l2`.csv",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_of_files_are_only_names(name: str, inline: Commands, tmp_path: Path) -> None:
    """Whatever a file is called, nothing is made of its name, and none of it reaches a terminal unseen."""
    table(tmp_path / name)
    word = f"./{name}" if name.startswith("-") else name
    said = inline("train", word, "--model", "m", "--label-column", "hit")
    assert (said["packed"]["dataset"], said["packed"]["n_rows"]) == ("m", 200)
    assert sorted(path.name for path in (tmp_path / "root" / "datasets").iterdir()) == ["m"]
    bad = inline.run("train", word, "--model", "m", "--label-column", "none")
    assert bad.code == 2
    assert "\x1b" not in bad.err
    assert "\u202e" not in bad.err


@pytest.mark.parametrize("kind", ["folder", "folder with a slash", "glob", "several", "split inputs"])
def test_all_that_pack_takes(kind: str, inline: Commands, tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    one, two = (table(tmp_path / "day" / f"{k}.csv", n=40, seed=k) for k in range(2))
    takes: dict[str, list[object]] = {
        "folder": ["day"],
        "folder with a slash": ["day/"],
        "glob": ["day/*.csv"],
        "several": [one, two],
        "split inputs": ["--split-inputs", f"train={one}", "--split-inputs", f"later={two}"],
    }
    said = inline("train", *takes[kind], "--model", "m", "--label-column", "hit")
    assert said["packed"]["n_rows"] == 80
    expected = {"train": 40, "later": 40} if kind == "split inputs" else {"train": 80}
    assert said["packed"]["splits"] == expected


def test_another_split_of_files_is_trained_on(inline: Commands, tmp_path: Path) -> None:
    one, two = (table(tmp_path / f"{k}.csv", n=40 + k, seed=k) for k in range(2))
    by_file = ("--split-inputs", f"a={one}", "--split-inputs", f"b={two}", "--label-column", "hit")
    said = inline.run("train", *by_file, "--split", "b", "--model", "m")
    assert "logistic on m@1 b, 41 rows" in said.err


# --- what is refused --------------------------------------------------------------------------------------------------

OPTIONS = [
    ("--split-by", "a"), ("--folds", "2"), ("--seed", "1"), ("--partitions", "2"), ("--like", "d"),
    ("--unseen-features", "ignore"), ("--max-bad-rows", "1"), ("--format", "csv"), ("--index-base", "1"),
    ("--label-weights",), ("--offset-feature", "1"), ("--schema", "x"), ("--hash-bits", "8"), ("--delimiter", "tab"),
    ("--no-header",), ("--header",), ("--label-column", "hit"), ("--weight-column", "w"), ("--offset-column", "w"),
    ("--drop", "w"), ("--categorical", "a"), ("--numeric", "a"), ("--missing-markers", "x"), ("--decimal", ","),
    ("--thousands", "'"), ("--percent",), ("--missing", "drop"), ("--unseen", "ignore"),
]  # fmt: skip


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("packed")
    commands = Commands(folder / "root", ("-r", "inline"))
    commands("pack", table(folder / "rows.csv"), "--to", "d", "--label-column", "hit")
    commands("train", "d", "--model", "m", "--max-passes", 1)
    return commands


@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_what_is_for_files_is_refused_with_a_dataset(words: tuple[str, ...], packed: Commands) -> None:
    for dataset in ("d", "d@1", "d@latest"):
        found = packed.run("train", dataset, "--model", "never", *words)
        assert found.code == 2
        assert f"{words[0]} is for rows in files" in found.err
        assert "such as ./rows.csv" in found.err
    [run] = (packed.root / "runs").iterdir()
    found = packed.run("train", "--resume", run.name, *words)
    assert (found.code, f"leave {words[0]} out" in found.err) == (2, True)
    assert not (packed.root / "models" / "never").exists()


def test_all_options_of_pack_are_among_them() -> None:
    from mr_ml.cli.parser import make_parser

    options = make_parser("train").parse_args(["train"])
    of_pack = set(vars(make_parser("pack").parse_args(["pack", "x", "--to", "y"])))
    mine = {words[0].removeprefix("--").replace("-", "_") for words in OPTIONS} | {"split_inputs", "to"}
    assert {*options.packing, "to"} == mine
    assert of_pack - set(vars(options)) == {"inputs", "dry_run"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--model", "a b"), 2, "the name of a model"),
        (("--to", "a/b"), 2, "the name of a dataset"),
        (("--split", "test"), 2, "the split test, found the splits train"),
        (("--split", "a=0.5,b=0.5"), 2, "the split train, found the splits a, b"),
        (("--split", "train=2"), 2, "--split"),
        (("--prior", "none"), 74, "none"),
        (("--prior-precision", "1"), 2, "--prior-precision is for --prior"),
        (("--warm-start", "none"), 74, "none"),
        (("--warm-start-from", "none"), 2, "none"),
        (("--solver", "none"), 2, "none"),
        (("--l1", "1", "--solver", "newton"), 2, "newton"),
        (("--l2", "1", "--inference"), 2, "--inference"),
        (("--per-feature", "none"), 2, "none"),
        (("--label-column", "none"), 2, "none"),
        (("--index-base", "1", "--format", "csv"), 2, "--index-base is for libsvm"),
        (("--delimiter", "ab"), 2, "--delimiter"),
        (("--like", "none"), 74, "none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_can_be_known_before_is_refused_before_anything_is_packed(
    words: tuple[str, ...], code: int, said: str, inline: Commands, tmp_path: Path
) -> None:
    rows = table(tmp_path / "rows.csv")
    more = [] if "--label-column" in words else ["--label-column", "hit"]
    found = inline.run("train", rows, "--model", "m", *more, *words)
    assert found.code == code, found.err
    assert said in found.err
    assert "Traceback" not in found.err
    assert found.out == ""
    assert folders(tmp_path / "root") == []


def test_shares_are_for_files(packed: Commands) -> None:
    found = packed.run("train", "d", "--model", "m", "--split", "train=0.5,test=0.5")
    assert found.code == 2
    assert "--split: expected the name of a split of the dataset d, found 'train=0.5,test=0.5'" in found.err


def test_nothing_and_a_dry_run(inline: Commands) -> None:
    for words in ([], ["--model", "m"], ["d"]):
        found = inline.run("train", *words)
        assert (found.code, "expected a dataset, or files of rows, and --model" in found.err) == (2, True)
    assert inline.run("train", "rows.csv", "--model", "m", "--dry-run").code == 2


def test_rows_that_a_pack_refuses(inline: Commands, tmp_path: Path) -> None:
    """The same exit code and words as of pack, and nothing is left."""
    rows = table(tmp_path / "rows.csv")
    rows.write_text(rows.read_text() + "1,2\n")
    by_pack = inline.run("pack", rows, "--to", "m", "--label-column", "hit")
    found = inline.run("train", rows, "--model", "m", "--label-column", "hit")
    assert (by_pack.code, found.code) == (65, 65)
    assert found.err == by_pack.err
    assert inline.run("train", tmp_path / "none.csv", "--model", "m").code == 2
    assert [name for name in folders(tmp_path / "root") if "v0" in name] == []


def test_a_training_that_fails_leaves_what_is_packed(inline: Commands, tmp_path: Path) -> None:
    """And says so, with its own exit code; that dataset is then what a pack would have left."""
    rows = table(tmp_path / "rows.csv")
    chosen = ("--label-column", "hit")
    wrong = ("--class-weights", "7=2")
    found = inline.run("train", rows, "--model", "m", *chosen, *wrong, "--json")
    inline("pack", rows, "--to", "other", *chosen)
    alone = inline.run("train", "other", "--model", "m", *wrong)
    assert (found.code, alone.code) == (2, 2)
    assert found.out == ""
    assert "m@1 stays, packed as it is: train on it in place of the files" in found.err
    assert found.err.endswith(alone.err)
    assert not (tmp_path / "root" / "models").exists()
    assert set(inline.partition_hashes("m@1").values()) == set(inline.partition_hashes("other@1").values())
    assert inline("train", "m@1", "--model", "m")["version"] == 1
    separable = write_libsvm(tmp_path / "far.libsvm", np.array([[-1.0], [1.0]] * 20), np.array([0, 1] * 20))
    found = inline.run("train", separable, "--model", "far")
    assert "far@1: 40 rows" in found.out
    assert (found.code == 0) == (tmp_path / "root" / "models" / "far").exists()
