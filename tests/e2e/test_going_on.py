"""`train --resume RUN` with more passes, or a smaller tolerance: the bits of a run that was asked for these at once."""

from __future__ import annotations

import shlex
import shutil

import numpy as np
import pytest
from commands import Commands, write_libsvm

import mr_ml as package
from mr_ml.catalog.run_log import read_log
from mr_ml.errors import UsageError
from mr_ml.optimize.base import Stop

INLINE = ("-r", "inline")
#: Of which the last two are of few coefficients, so that the Hessian is asked for at the end.
METHODS = {
    "lbfgs": ("--solver", "lbfgs", "--l2", "1e-6"),
    "lbfgs-sampled": ("--solver", "lbfgs-sampled", "--l2", "1e-6"),
    "newton": ("--solver", "newton", "--l2", "1e-6"),
    "proximal-lbfgs": ("--solver", "proximal-lbfgs", "--l1", "1e-3"),
    "proximal-newton": ("--solver", "proximal-newton", "--l1", "1e-3"),
    "quadratic": ("--solver", "newton", "--loss", "squared"),
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Rows whose features go together, so that a search takes some passes; tests work on copies."""
    folder = tmp_path_factory.mktemp("packed")
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 12)) @ rng.normal(size=(12, 12)) ** 3
    y = (x @ rng.normal(size=12) + 8 * rng.normal(size=600) > 0).astype(int)
    commands = Commands(folder / "root")
    commands("pack", write_libsvm(folder / "rows", x, y), "--to", "rows", *INLINE)
    return commands


@pytest.fixture
def rows(packed: Commands, mr_ml: Commands) -> Commands:
    shutil.copytree(packed.root, mr_ml.root)
    return mr_ml


def trained(commands: Commands, model: str, *options: object) -> dict[str, object]:
    return commands("train", "rows", "--model", model, *options, *INLINE)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("--max-passes", "3"), ("--max-passes", "6")),
        (("--max-passes", "1"), ("--max-passes", "2")),
        (("--max-passes", "4"), ("--max-passes", "300")),
        (("--tolerance", "1e-2"), ("--tolerance", "1e-8")),
        (("--tolerance", "1e-3", "--max-passes", "9"), ("--tolerance", "1e-9", "--max-passes", "99")),
    ],
    ids=" ".join,
)
def test_the_bits_are_those_of_one_run(
    rows: Commands, method: str, first: tuple[str, ...], then: tuple[str, ...]
) -> None:
    options = METHODS[method]
    short = trained(rows, "m", *options, *first)
    limits = dict(zip(first[::2], first[1::2], strict=True)) | dict(zip(then[::2], then[1::2], strict=True))
    whole = trained(rows, "whole", *options, *(word for limit in limits.items() for word in limit))
    if "--tolerance" not in then and short["converged"]:
        found = rows.run("train", "--resume", short["run"], *then, *INLINE)
        assert (found.code, "converged" in found.err) == (2, True)
        return
    again = rows("train", "--resume", short["run"], *then, *INLINE)
    told = ("objective", "gradient_norm", "passes", "stop", "converged", "solver", "warnings")
    assert {name: again[name] for name in told} == {name: whole[name] for name in told}
    assert rows.coef(f"m@{again['version']}").sha256 == rows.coef("whole").sha256
    # what was there stays, and what is new has a run of its own
    assert (again["version"], again["run"] != short["run"]) == (2, True)
    assert rows("models", "show", "m@1")["run"] == short["run"]


def test_the_command_that_gives_it_more_passes(rows: Commands) -> None:
    """Said after a training that lacked them, and a command line that works; what is stored says nothing of it."""
    words = ("train", "rows", "--model", "m", *METHODS["lbfgs"], *INLINE)
    said = rows.run(*words, "--max-passes", "4")
    *_, stop, last = said.out.splitlines()
    assert stop == Stop.PASSES.value
    assert last.startswith("go on with: mr-ml train --resume ")
    assert "--max-passes 8" in last
    _, _, line = last.partition("go on with: mr-ml ")
    found = rows(*shlex.split(line))
    assert (found["version"], found["passes"], found["stop"]) == (2, 8, Stop.PASSES.value)
    assert "go on with" not in rows.run(*words, "--max-passes", "200").out


def test_passes_are_not_made_again(rows: Commands) -> None:
    """But for the last one, after which the search had ended."""
    short = trained(rows, "m", *METHODS["lbfgs"], "--max-passes", "8")
    found = rows("train", "--resume", short["run"], "--max-passes", "12", *INLINE)
    root = package.open_root(rows.root)
    log = read_log(root, str(found["run"]))
    assert [event["number"] for event in log.passes] == [8, 9, 10, 11, 12]
    assert log.continues is not None
    assert (log.continues["run"], log.continues["after"]) == (short["run"], 7)
    assert f"run {short['run']} was after 7 passes" in rows.run("runs", "show", found["run"]).out
    # once more, from there
    more = rows("train", "--resume", found["run"], "--max-passes", "14", *INLINE)
    assert [event["number"] for event in read_log(root, str(more["run"])).passes] == [12, 13, 14]
    assert (
        rows.coef("m").sha256
        == rows.coef(f"{trained(rows, 'w', *METHODS['lbfgs'], '--max-passes', '14')['model']}").sha256
    )


@pytest.mark.parametrize("lost", ["passes", "run"])
def test_without_checkpoints_it_begins_anew(rows: Commands, lost: str) -> None:
    """They go when runs are cleaned up; the bits are the same."""
    short = trained(rows, "m", *METHODS["lbfgs"], "--max-passes", "5")
    folder = rows.root / "runs" / str(short["run"])
    if lost == "passes":
        shutil.rmtree(folder / "passes")
    else:
        # while the new run is at work
        spec, log = (folder / "spec.json").read_bytes(), (folder / "log.jsonl").read_bytes()
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "spec.json").write_bytes(spec)
        (folder / "log.jsonl").write_bytes(log)
    found = rows("train", "--resume", short["run"], "--max-passes", "9", *INLINE)
    trained(rows, "whole", *METHODS["lbfgs"], "--max-passes", "9")
    assert (found["passes"], rows.coef("m").sha256) == (9, rows.coef("whole").sha256)


def test_a_run_that_continues_another_is_resumed(rows: Commands) -> None:
    """It was killed before its first pass was written: it begins where it was to begin."""
    short = trained(rows, "m", *METHODS["lbfgs"], "--max-passes", "5")
    found = rows("train", "--resume", short["run"], "--max-passes", "9", *INLINE)
    folder = rows.root / "runs" / str(found["run"])
    shutil.rmtree(folder / "passes")
    (folder / "log.jsonl").unlink()
    (rows.root / "models" / "m" / "v000002.json").unlink()
    again = rows("train", "--resume", found["run"], *INLINE)
    assert again["passes"] == 9
    root = package.open_root(rows.root)
    assert [event["number"] for event in read_log(root, str(found["run"])).passes] == [5, 6, 7, 8, 9]


def test_what_goes_no_further_is_refused(rows: Commands) -> None:
    done = trained(rows, "m", *METHODS["newton"])
    short = trained(rows, "s", *METHODS["lbfgs"], "--max-passes", "5", "--tolerance", "1e-7")
    for run, more, words in (
        (done["run"], ("--max-passes", "600"), "converged"),
        (done["run"], ("--max-passes", "3"), "expected more than the 500"),
        (short["run"], ("--tolerance", "1e-3"), "expected less than the 1e-07"),
        (short["run"], ("--l2", "3"), "--l2"),
        (short["run"], ("--max-passes", "0"), "--max-passes"),
    ):
        found = rows.run("train", "--resume", run, *more, *INLINE)
        assert (found.code, words in found.err) == (2, True), found.err
    # nothing else than it was asked for: what it has published
    assert rows("train", "--resume", short["run"], "--max-passes", "5", *INLINE)["version"] == 1
    assert rows("train", "--resume", done["run"], "--tolerance", "1e-6", *INLINE)["version"] == 1


def test_in_python(rows: Commands) -> None:
    short = package.train(rows.root, "rows", "m", l2=1e-6, solver="lbfgs", max_passes=4, runner="inline")
    found = package.resume(rows.root, short.run, max_passes=7, runner="inline")
    assert (found.passes, found.version) == (7, 2)
    with pytest.raises(UsageError, match="`max_passes`"):
        package.resume(rows.root, short.run, max_passes="many", runner="inline")  # type: ignore[arg-type]
