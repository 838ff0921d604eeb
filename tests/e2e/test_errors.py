"""What a user can get wrong: an exit code, a message that says what to do, and never a traceback."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_csv, write_libsvm

from mr_ml.cli import main


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Datasets and models that mistakes are made with; tests must not change them."""
    folder = tmp_path_factory.mktemp("errors")
    commands = Commands(folder / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    for name, y in (
        ("two", np.arange(60) % 2),
        ("three", np.arange(60) % 3),
        ("one", np.ones(60)),
        ("real", x[:, 0] / 3),
    ):
        commands("pack", write_libsvm(folder / name, x, y), "--to", name)
    commands("pack", write_libsvm(folder / "wide", rng.normal(size=(60, 5)), np.arange(60) % 2), "--to", "wide")
    a, b, c, signs = *x.T, [0, 1] * 30
    text = {"a": a, "b": b, "label": ["yes", "no", "maybe"] * 20}
    commands("pack", write_csv(folder / "text.csv", text), "--to", "text")
    commands("pack", write_csv(folder / "csv.csv", {"a": a, "b": b, "c": c, "label": signs}), "--to", "csv")
    commands(
        "pack", write_csv(folder / "o.csv", {"a": a, "o": b, "label": signs}), "--to", "offsets", "--offset-column", "o"
    )
    file = write_csv(folder / "w.csv", {"a": a, "w": np.zeros(60), "label": signs})
    commands("pack", file, "--to", "weightless", "--weight-column", "w")
    big = rng.normal(size=1500)
    commands("pack", write_libsvm(folder / "many", big[:, None], big), "--to", "many")
    commands("train", "two", "--model", "two", "--l2", "0.1")
    commands("train", "three", "--model", "three", "--l2", "0.1", "--loss", "softmax")
    commands("train", "text", "--model", "text", "--l2", "0.1", "--loss", "softmax")
    return commands


def train(dataset: str, *more: str) -> tuple[str, ...]:
    return "train", dataset, "--model", "new", *more


def pack(file: str, *more: str) -> tuple[str, ...]:
    return "pack", f"{{folder}}/{file}", "--to", "new", *more


def evaluate(model: str, dataset: str) -> tuple[str, ...]:
    return "evaluate", model, dataset, "--split", "train"


MISTAKES: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    # argparse's own
    "no command": ((), 2, ("COMMAND",)),
    "unknown command": (("trian",), 2, ("trian",)),
    "unknown option": (train("two", "--l3", "1"), 2, ("--l3",)),
    "an abbreviated option": (pack("two", "--max-bad", "1"), 2, ("--max-bad",)),
    "an abbreviated option of models": (("models", "show", "two", "--feat", "1"), 2, ("--feat",)),
    "unknown loss": (train("two", "--loss", "hinge"), 2, ("hinge",)),
    "l2 is no number": (train("two", "--l2", "much"), 2, ("--l2", "much")),
    # names
    "no such dataset": (train("nowhere"), 74, ("datasets/nowhere", "--root")),
    "no such version": (train("two@7"), 74, ("two", "7")),
    "no such model": (("evaluate", "nobody", "two"), 74, ("models/nobody",)),
    "no such model to show": (("models", "show", "nobody"), 74, ("models/nobody",)),
    "no such model to predict": (("predict", "nobody", "x", "--to", "y"), 74, ("models/nobody",)),
    "no such dataset to describe": (("describe", "nowhere"), 74, ("datasets/nowhere",)),
    "no such split": (train("two", "--split", "test"), 2, ("'test'", "it has train")),
    "no such split to evaluate": (("evaluate", "two", "two", "--split", "dev"), 2, ("'dev'", "; say --split train")),
    "no such run": (("runs", "show", "20200101T000000-00000000"), 2, ("no run", "runs list")),
    "no such run to resume": (("train", "--resume", "20200101T000000-00000000"), 2, ("no run", "runs list")),
    "a path for a name": (("describe", "../two"), 2, ("../two", "name of a dataset")),
    "a path of no file": (train("../two"), 2, ("../two", "check the path")),
    "a path for a model": (("train", "two", "--model", "../../x"), 2, ("../../x", "name of a model")),
    "a path for a run": (("train", "--resume", "../../etc"), 2, ("../../etc",)),
    "a path for a dataset to pack": (("pack", "{folder}/two", "--to", "a/b"), 2, ("a/b",)),
    "a version that is none": (train("two@x"), 2, ("two@x",)),
    "neither dataset nor run": (("train", "--model", "new"), 2, ("--resume RUN",)),
    "no model": (("train", "two"), 2, ("--model NAME",)),
    "resume with a dataset": (("train", "two", "--resume", "{run}"), 2, ("--resume",)),
    "resume with a model": (("train", "--model", "new", "--resume", "{run}"), 2, ("--resume",)),
    "resume with another penalty": (("train", "--l2", "3", "--resume", "{run}"), 2, ("--resume", "--l2")),
    "resume with another solver": (("train", "--solver", "lbfgs", "--resume", "{run}"), 2, ("--resume", "--solver")),
    "class weights of -1": (train("two", "--class-weights", "-1=2,1=1"), 2, ("=: --class-weights=-1=2,1=1\n",)),
    "a solver that is not known": (train("two", "--solver", "magic"), 2, ("'magic'", "auto, lbfgs, lbfgs-sampled")),
    # labels
    "one label": (train("one"), 2, ("exactly 2 label", "has 1: '", "two labels at least")),
    "one label, softmax": (train("one", "--loss", "softmax"), 2, ("at least 2 label", "two labels at least")),
    "three labels, logistic": (train("three"), 2, ("3", "--loss squared for numbers", "softmax for classes")),
    "text labels, squared": (train("text", "--loss", "squared"), 2, ("labels that are numbers", "--loss softmax")),
    "text labels, logistic": (train("text"), 2, ("has 3: ", "'maybe'", "; use --loss softmax, or pack with another")),
    "continuous labels, logistic": (train("many"), 2, ("--loss squared",)),
    "continuous labels, softmax": (train("many", "--loss", "softmax"), 2, ("--loss squared",)),
    # options that do not fit
    "negative l2": (train("two", "--l2", "-1"), 2, ("--l2", "-1")),
    "l2 nan": (train("two", "--l2", "nan"), 2, ("--l2", "nan")),
    "no passes": (train("two", "--max-passes", "0"), 2, ("--max-passes",)),
    "negative tolerance": (train("two", "--tolerance", "-1"), 2, ("--tolerance",)),
    "nan tolerance": (train("two", "--tolerance", "nan"), 2, ("--tolerance",)),
    "infinite tolerance": (train("two", "--tolerance", "inf"), 2, ("--tolerance", "inf")),
    "infinite l2": (train("two", "--l2", "1e400"), 2, ("--l2", "1e400")),
    "passes of many digits": (train("two", "--max-passes", "9" * 5000), 2, ("--max-passes", "999999")),
    "a seed beyond 64 bits": (pack("two", "--seed", "9" * 25), 2, ("--seed", "9" * 25)),
    "a number that is written in another way": (pack("two", "--folds", "1_0"), 2, ("--folds", "1_0")),
    "a negative number of features": (("describe", "two", "--features", "-1"), 2, ("--features", "-1")),
    "class weights of regression": (train("real", "--loss", "squared", "--class-weights", "1=2"), 2, ("no classes",)),
    "class weights of unknown labels": (train("two", "--class-weights", "7=2"), 2, ("--class-weights", "7=2")),
    "class weights without a number": (train("two", "--class-weights", "1=x"), 2, ("1=x",)),
    "class weights of nothing": (train("two", "--class-weights", "0=0,1=0"), 65, ("sum to 0",)),
    "class weights too far apart": (train("two", "--class-weights", "1=1e-320"), 2, ("--class-weights", "vanish")),
    "negative class weights": (train("two", "--class-weights", "1=-2"), 2, ("1=-2",)),
    "weights that are all zero": (train("weightless"), 65, ("sum to 0",)),
    "offsets with softmax": (train("offsets", "--loss", "softmax"), 2, ("softmax", "offsets")),
    "no workers": (train("two", "-r", "local", "--workers", "0"), 2, ("--workers", "0")),
    "negative workers": (train("two", "-r", "local", "--workers", "-3"), 2, ("--workers", "-3")),
    "memory that is no size": (train("two", "--memory", "lots"), 2, ("500M", "lots")),
    "memory that is negative": (train("two", "--memory=-5M"), 2, ("500M", "-5M")),
    "memory of many digits": (train("two", "--memory", "9" * 400 + "G"), 2, ("500M", "9999")),
    "memory that is not finite": (train("two", "--memory", "infG"), 2, ("500M", "infG")),
    "too little memory": (train("two", "--memory", "1M"), 2, ("--memory 1M", "give more")),
    # pack
    "no such input": (pack("nowhere"), 2, ("nowhere", "check the path")),
    "an empty folder": (("pack", "{empty}", "--to", "new"), 2, ("nothing that matches",)),
    "shares that do not sum to 1": (pack("two", "--split", "train=0.5,test=0.2"), 2, ("sum to 1",)),
    "shares without a number": (pack("two", "--split", "train"), 2, ("NAME=SHARE",)),
    "a share of zero": (pack("two", "--split", "train=1,test=0"), 2, ("test=0",)),
    "a share that is not finite": (pack("two", "--split", "train=nan"), 2, ("train=nan",)),
    "a split twice": (pack("two", "--split", "a=0.5,a=0.5"), 2, ("a=0.5",)),
    "a split with a path": (pack("two", "--split", "../x=1"), 2, ("../x",)),
    "no folds": (pack("two", "--folds", "0"), 2, ("--folds",)),
    "no partitions": (pack("two", "--partitions", "0"), 2, ("--partitions",)),
    "too many partitions": (pack("two", "--partitions", "1000000"), 2, ("partition", "99999")),
    "negative bad rows": (pack("two", "--max-bad-rows", "-1"), 2, ("--max-bad-rows",)),
    "groups of libsvm by name": (pack("two", "--split-by", "user"), 2, ("qid", "user")),
    "groups that are not there": (pack("two", "--split-by", "qid"), 2, ("qid",)),
    "a group column that is not there": (pack("text.csv", "--split-by", "user"), 2, ("user",)),
    "a label column that is not there": (pack("text.csv", "--label-column", "z"), 2, ("z",)),
    "a column number that is not there": (pack("text.csv", "--drop", "9"), 2, ("9",)),
    "a delimiter of two characters": (pack("text.csv", "--delimiter", "::"), 2, ("::",)),
    "an unknown policy": (pack("text.csv", "--missing", "guess"), 2, ("guess",)),
    "csv read as libsvm": (pack("text.csv", "--format", "libsvm"), 65, ("text.csv:1:", "Fix the rows")),
    "libsvm read as csv": (pack("two", "--format", "csv"), 2, ("column", "--label-column")),
    "a csv option of libsvm": (pack("two", "--label-column", "0"), 2, ("/two is not called .csv", "--format csv")),
    "a csv switch of libsvm": (pack("two", "--header", "--format", "libsvm"), 2, ("--header", "read as libsvm")),
    "a libsvm option of csv": (pack("csv.csv", "--index-base", "1"), 2, ("--index-base", "--format libsvm")),
    "like nothing": (pack("two", "--like", "nowhere"), 74, ("datasets/nowhere",)),
    # evaluate and predict
    "a wider dataset": (evaluate("two", "wide"), 65, ("2 features", "such as 4", "--unseen-features")),
    "features that are to be known from nowhere": (pack("two", "--unseen-features", "ignore"), 2, ("--like",)),
    "a dataset with names": (evaluate("two", "csv"), 65, ("other features", "--like")),
    "a dataset of other columns": (evaluate("text", "csv"), 65, ("'c'", "--like")),
    "a dataset of other labels": (evaluate("two", "three"), 65, ("labels that the model does not know",)),
    "a dataset without the split": (("evaluate", "two", "two"), 2, ("no split 'test'",)),
    "text labels for a numeric model": (evaluate("three", "text"), 65, ("features",)),
    "rows of another format": (
        ("predict", "text", "{folder}/two", "--to", "{empty}/out"), 65, ("columns", "model reads csv text")
    ),
    "rows of the other format": (
        ("predict", "two", "{folder}/csv.csv", "--to", "{empty}/out"), 65, ("bad rows of libsvm text", "model reads")
    ),
    "rows that are not there": (("predict", "two", "{folder}/nowhere", "--to", "{empty}/out"), 2, ("check the path",)),
    "output in a file": (("predict", "two", "{folder}/two", "--to", "{folder}/two/out"), 74, ("--to",)),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(shared: Commands, tmp_path: Path, mistake: str) -> None:
    words, code, fragments = MISTAKES[mistake]
    folder = shared.root.parent
    run = shared("models", "show", "two")["run"]
    places = {"folder": str(folder), "empty": str(tmp_path), "run": run}
    before = everything(shared.root)
    found = shared.run(*(word.format(**places) for word in words))
    assert found.code == code, found.err
    assert found.out == ""
    assert "Traceback" not in found.err
    assert found.err.count("mr-ml") <= 3
    for fragment in fragments:
        assert fragment in found.err
    after = everything(shared.root)
    if "sum to 0" in fragments:  # only a pass can tell: a run was begun
        after = {name: data for name, data in after.items() if name in before or not name.startswith("runs/")}
    assert after == before
    assert not list(tmp_path.iterdir())


def everything(root: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def mine(shared: Commands, tmp_path: Path) -> Commands:
    """A copy of the root that a test may spoil."""
    shutil.copytree(shared.root, tmp_path / "root")
    return Commands(tmp_path / "root", runner=shared.runner)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def drop(path: Path) -> None:
    path.unlink()


def reword(path: Path) -> None:
    """Another number in the document, everything else as it should be."""
    document = json.loads(path.read_bytes())
    for key in ("nnz", "n_rows"):
        if key in document:
            document[key] += 1
    path.write_text(json.dumps(document, sort_keys=True, indent=2) + "\n")


@pytest.mark.parametrize("spoil", [cut, flip, reword])
@pytest.mark.parametrize(
    ("manifest", "command"),
    [
        ("datasets/two/v000001.json", train("two")),
        ("datasets/two/v000001.json", ("describe", "two")),
        ("datasets/two/v000001.json", ("evaluate", "two", "two", "--split", "train")),
        ("models/two/v000001.json", ("models", "show", "two")),
        ("models/two/v000001.json", ("models", "list")),
        ("models/two/v000001.json", ("evaluate", "two", "two", "--split", "train")),
    ],
)
def test_damaged_manifests(
    mine: Commands, spoil: Callable[[Path], None], manifest: str, command: tuple[str, ...]
) -> None:
    spoil(mine.root / manifest)
    found = mine.run(*command)
    assert found.code == 65
    assert manifest in found.err
    assert "Traceback" not in found.err
    assert not (mine.root / "models/new").exists()


@pytest.mark.parametrize(("spoil", "code"), [(cut, 65), (flip, 65), (drop, 74)])
@pytest.mark.parametrize("command", [("models", "show", "two"), ("evaluate", "two", "two", "--split", "train")])
def test_damaged_coefficients(
    mine: Commands, spoil: Callable[[Path], None], code: int, command: tuple[str, ...]
) -> None:
    (path,) = mine.root.glob("models/two/data/*/coef.npz")
    spoil(path)
    found = mine.run(*command)
    assert found.code == code
    assert "coef.npz" in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize(("spoil", "code"), [(cut, 65), (flip, 65), (drop, 74)])
@pytest.mark.parametrize("command", [train("two"), ("describe", "two")])
def test_damaged_moments(mine: Commands, spoil: Callable[[Path], None], code: int, command: tuple[str, ...]) -> None:
    (path,) = mine.root.glob("datasets/two/data/*/moments-train.npz")
    spoil(path)
    found = mine.run(*command)
    assert (found.code, "moments-train.npz" in found.err, "Traceback" in found.err) == (code, True, False)


@pytest.mark.parametrize(("spoil", "code"), [(cut, 65), (flip, 65), (drop, 2)])
def test_damaged_runs(mine: Commands, spoil: Callable[[Path], None], code: int) -> None:
    run = mine("models", "show", "two")["run"]
    spoil(mine.root / f"runs/{run}/spec.json")
    found = mine.run("train", "--resume", run)
    assert (found.code, "Traceback" in found.err) == (code, False)
    assert run in found.err
    # the other runs can still be seen, and what is damaged is said
    listed = mine.run("runs", "list", "--json")
    assert (listed.code, run in listed.err) == ((0, False) if spoil is drop else (65, True))
    assert len(listed.result["runs"]) >= 2


def test_another_datasets_moments(mine: Commands) -> None:
    """Whole, but not those of this data: they would move the scales, and the model where the penalty is on them."""
    (ours,) = mine.root.glob("datasets/two/data/*/moments-train.npz")
    (theirs,) = mine.root.glob("datasets/three/data/*/moments-train.npz")
    assert ours.stat().st_size == theirs.stat().st_size
    ours.write_bytes(theirs.read_bytes())
    found = mine.run(*train("two", "--penalty-space", "scaled", "--l2", "0.1"))
    assert (found.code, "moments-train.npz" in found.err) == (65, True)


def test_enormous_numbers(mine: Commands) -> None:
    """A feature that cannot be squared is named; offsets without bounds end the run, which can be shown."""
    folder = mine.root.parent
    (folder / "huge").write_text("1 1:2 7:1e300\n0 1:1 7:-1e300\n")
    mine("pack", folder / "huge", "--to", "huge")
    assert mine("describe", "huge")["features"]["train"][6]["std"] is None
    assert "inf" in mine.run("describe", "huge").out
    found = mine.run("train", "huge", "--model", "huge")
    assert (found.code, "feature 7" in found.err, "Warning" in found.err) == (65, True, False)
    write_csv(
        folder / "far.csv", {"a": [1, 2, 3, 4], "o": [1e308, -1e308, 1e308, 1e300], "label": [1.0, 2.0, 1.5, 2.5]}
    )
    mine("pack", folder / "far.csv", "--to", "far", "--offset-column", "o")
    found = mine.run("train", "far", "--model", "far", "--loss", "squared")
    assert (found.code, "not finite" in found.err, "Warning" in found.err) == (65, True, False)
    (run,) = (run for run in mine("runs", "list")["runs"] if run["model"] == "far")
    assert (run["status"], run["passes"]) == ("failed", 1)
    assert "the objective is not finite" in run["stop"]
    shown = mine.run("runs", "show", run["run"]).out
    assert ("inf" in shown, run["stop"] in shown, "--resume" in shown) == (True, True, False)
    assert mine.run("train", "--resume", run["run"]).code == 65
    assert mine("runs", "show", run["run"])["status"] == "failed"
    assert mine.run("train", "weightless", "--model", "none").code == 65
    (run,) = (run for run in mine("runs", "list")["runs"] if run["model"] == "none")
    assert (run["status"], "expected a positive sum" in run["stop"], run["passes"]) == ("failed", True, 0)
    assert not (mine.root / "models/far").exists()


def obey_permissions() -> None:
    """For a child that may be root's: permissions count for it too."""
    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


@pytest.fixture
def read_only(mine: Commands) -> Iterator[Commands]:
    """A root that cannot be written."""
    folders = [mine.root, *(path for path in mine.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    attempt = [sys.executable, "-c", "import sys; open(sys.argv[1], 'w')", str(mine.root / "new")]
    if not subprocess.run(attempt, preexec_fn=obey_permissions, capture_output=True).returncode:
        pytest.skip("this user can write everywhere")
    yield mine
    for folder in folders:
        folder.chmod(0o755)


def test_a_read_only_root(read_only: Commands) -> None:
    """What only reads works; what writes says that it cannot."""
    found = read_only.process("evaluate", "two", "two", "--split", "train", "--json", preexec_fn=obey_permissions)
    assert found.result["n_rows"] == 60
    file = read_only.root.parent / "rows"
    file.write_text("1 1:1\n0 1:2\n")
    for command in (train("two"), ("pack", str(file), "--to", "new"), ("pack", str(file), "--to", "two")):
        found = read_only.process(*command, preexec_fn=obey_permissions)
        assert (found.code, "permission denied" in found.err.lower(), "--root" in found.err) == (74, True, True)
        assert "Traceback" not in found.err


@pytest.mark.parametrize(("root", "code"), [("a file", 2), ("/proc/nothing", 74)])
def test_a_root_that_cannot_be_one(tmp_path: Path, shared: Commands, root: str, code: int) -> None:
    (tmp_path / "a file").write_text("")
    commands = Commands(tmp_path / root, runner=("-r", "inline"))
    found = commands.run("pack", shared.root.parent / "two", "--to", "new")
    assert (found.code, root in found.err, "Traceback" in found.err) == (code, True, False)


@pytest.mark.parametrize("root", ["s3n://bucket/mr_ml", "ftp://host/mr_ml"])
def test_roots_that_are_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: str
) -> None:
    """A folder that is called 's3:' would be a trap."""
    monkeypatch.chdir(tmp_path)
    assert main(["describe", "two", "--root", root]) == 2
    assert root.partition("://")[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_as_a_process(shared: Commands) -> None:
    """The exit code reaches the shell, the message is one line, and stdout stays empty even with --json."""
    found = shared.process("train", "two", "--model", "new", "--memory", "1M", "--json")
    assert (found.code, found.out, len(found.err.splitlines())) == (2, "", 1)
    assert found.err.startswith("mr-ml: ")


@pytest.mark.parametrize("loss", ["gamma", "gamma:link=inverse", "inverse_gaussian", "poisson", "tweedie:power=1.5"])
def test_labels_of_a_negative_mean_are_refused_in_one_sentence(mine: Commands, tmp_path: Path, loss: str) -> None:
    """Too many to be listed, so that the first pass finds them; nothing is computed of their mean before."""
    (tmp_path / "negative").write_text("".join(f"{-1 - k / 1024} 1:{k % 7}\n" for k in range(1200)))
    mine("pack", tmp_path / "negative", "--to", "negative")
    found = mine.run("train", "negative", "--model", "m", "--loss", loss)
    assert (found.code, "expected labels >" in found.err, "Warning" in found.err) == (65, True, False)
