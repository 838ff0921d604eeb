"""Candidates, promotion, rollback and comparison of models by commands, and the same by the Python API."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_csv

import mr_ml
from hdfs_layout import open_root, publish_version, read_version
from mr_ml.catalog.decision import Check, Decision
from mr_ml.catalog.provenance import InputFile, Provenance
from mr_ml.errors import GateRefusedError
from mr_ml.models.linear.kind.model import LinearModel

HOSTILE = "a\tb\n\x1b[2J../=1+1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets that share a column and a category, and two versions of the model ctr."""
    folder = tmp_path_factory.mktemp("models")
    run, rng = Commands(folder / "root", ("-r", "inline")), np.random.default_rng(3)
    for name, colours in (("old", ("red", "green")), ("new", ("red", "blue"))):
        columns = {
            "x": rng.normal(size=60).round(2),
            "c": rng.choice(colours, 60),
            "label": rng.choice(["no", "yes"], 60),
        }
        run("pack", write_csv(folder / f"{name}.csv", columns), "--to", "clicks")
    for number in (1, 2):
        run("train", f"clicks@{number}", "--model", "ctr", "--l2", number / 10)
    return folder


@pytest.fixture
def models(made: Path, tmp_path: Path) -> Commands:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Commands(tmp_path / "root", ("-r", "inline"))


def files(commands: Commands) -> dict[str, str]:
    """Sha256 of everything that belongs to a version."""
    folder = commands.root / "models" / "ctr"
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "promotions" not in path.parts
    }


def coefficients(commands: Commands, name: str) -> dict[str, float]:
    model = mr_ml.load_model(commands.root, name)
    assert isinstance(model, LinearModel)
    return model.coefficients["coef"]


def judged(commands: Commands, *, accepted: bool, text: str = "auc 0.61") -> str:
    """Publish the latest version once more, as a retraining would; return its name and version."""
    root = open_root(commands.root)
    checks = (
        Check(name="days", passed=True, found="28 days", expected="at least 21"),
        Check(name="auc", passed=accepted, found=text, expected="at least 0.7", numbers={"auc": 0.61}),
    )
    decision = Decision(
        accepted=accepted, against="ctr@1", checks=checks, metrics={"auc": 0.61}, published_metrics={"auc": 0.74}
    )
    provenance = Provenance(
        window="2026-11-26",
        first_day="2026-10-30",
        timezone="Europe/Berlin",
        inputs=(InputFile(path=f"/raw/{text}", size=1234, checksum="sha256:00", day="2026-11-26"),),
        missing_days=("2026-11-01",),
        code={"mr_ml": "0.2.0"},
        python="3.11.2",
        packages={"numpy": "1.26"},
        settings={},
        by={"user": "ml", "host": text, "pid": 7, "command": ["mr-ml", "retrain", "ctr.yaml"]},
    )
    document = read_version(root.store, "models/ctr").document
    number = publish_version(
        root.store, "models/ctr", {**document, "decision": decision.to_json(), "provenance": provenance.to_json()}
    )
    return f"ctr@{number}"


def test_a_candidate_is_used_by_its_number_until_it_is_promoted(models: Commands, tmp_path: Path) -> None:
    before = files(models)
    assert models("evaluate", "ctr", "clicks@2", "--split", "train")["model"] == "ctr@2"
    done = models("models", "promote", "ctr@1", "--reason", "x")
    assert list(done) == [
        "model", "number", "version", "action", "previous", "at", "by", "reason", "forced", "retrain",
    ]  # fmt: skip
    assert (done["model"], done["number"], done["version"], done["previous"], done["reason"]) == ("ctr", 2, 1, 2, "x")
    trained = models.run("train", "clicks@2", "--model", "ctr", "--json")
    assert (trained.code, trained.result["version"], trained.result["promoted"]) == (0, 3, False)
    assert "ctr@3 is a candidate: ctr means ctr@1 until it is promoted, `mr-ml models promote ctr@3`" in trained.err
    for name, version in (("ctr", 1), ("ctr@latest", 3), ("ctr@2", 2)):
        assert models("models", "show", name)["version"] == version
        dataset = f"clicks@{min(version, 2)}"
        assert models("evaluate", name, dataset, "--split", "train")["model"] == f"ctr@{version}"
        out = tmp_path / f"out-{version}"
        assert models("predict", name, tmp_path / f"{'old' if version == 1 else 'new'}.csv", "--to", out)["model"] == (
            f"ctr@{version}"
        )
        assert mr_ml.load_model(models.root, name).version == version
    assert models("describe", "clicks@latest")["version"] == 2
    listed = [(m["version"], m["promoted"], m["status"]) for m in models("models", "list")["models"]]
    assert listed == [(1, True, "promoted"), (2, False, "former"), (3, False, "candidate")]
    assert models("models", "promote", "ctr")["version"] == 3
    # once more changes nothing
    assert models("models", "promote", "ctr@3")["number"] == 3
    assert {path: sha for path, sha in files(models).items() if path in before} == before


def test_rollback_is_exact_and_goes_further_back(models: Commands) -> None:
    models("models", "promote", "ctr@2")
    models("train", "clicks@2", "--model", "ctr")
    before = files(models)
    models("models", "promote", "ctr@3")
    for version in (2, 1):
        found = models("models", "rollback", "ctr", "--reason", "complaints")
        assert (found["action"], found["version"], found["reason"]) == ("rollback", version, "complaints")
        assert models("models", "show", "ctr")["version"] == version
    refused = models.run("models", "rollback", "ctr")
    assert (refused.code, "before ctr@1; found none" in refused.err) == (2, True)
    assert models("models", "rollback", "ctr", "--to", 3)["version"] == 3
    assert files(models) == before
    history = models("models", "show", "ctr")["promotions"]
    assert [(entry["action"], entry["version"]) for entry in history] == [
        ("adopt", 2), ("promote", 2), ("promote", 3), ("rollback", 2), ("rollback", 1), ("rollback", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("promote", "ctr@7"), 74, "expected version 7"),
        (("promote", "none"), 74, "found none"),
        (("promote", "ctr", "--force"), 2, "--force needs a --reason"),
        (("promote", "ctr", "--reason", " "), 2, "--reason: expected some words"),
        (("promote", "ctr@x"), 2, "or ctr@latest; found 'ctr@x'"),
        (("rollback", "ctr@1"), 2, "is given by --to"),
        (("rollback", "none"), 74, "found none"),
        (("rollback", "ctr", "--to", "9"), 74, "expected version 9"),
        (("rollback", "ctr", "--to", "2"), 2, "another version than ctr@2"),
        (("diff", "ctr", "none"), 74, "found none"),
    ],
)
def test_what_cannot_be_done_changes_nothing(models: Commands, words: tuple[str, ...], code: int, what: str) -> None:
    found = models.run("models", *words)
    assert (found.code, what in found.err, "Traceback" in found.err) == (code, True, False), found.err
    assert not (models.root / "models" / "ctr" / "promotions").exists()
    assert not (models.root / "models" / "none").exists()


def test_what_a_gate_refused_takes_force_and_a_reason(models: Commands) -> None:
    models("models", "promote", "ctr@1")
    refused = judged(models, accepted=False)
    found = models.run("models", "promote", refused)
    assert found.code == 3
    assert f"{refused} was refused by its gate: auc: expected at least 0.7, found auc 0.61. Give --force" in found.err
    with pytest.raises(GateRefusedError):
        mr_ml.promote(models.root, refused, reason="a reason alone does not do")
    assert models("models", "show", "ctr")["version"] == 1
    done = models("models", "promote", refused, "--force", "--reason", "the test split is odd")
    assert (done["forced"], done["reason"], done["version"]) == (True, "the test split is odd", 3)
    accepted = judged(models, accepted=True)
    assert models("models", "promote", accepted, "--force", "--reason", "r")["forced"] is False
    gates = [(m["version"], m["gate"], m["status"]) for m in models("models", "list")["models"]]
    assert gates == [(1, None, "former"), (2, None, "former"), (3, "refused", "former"), (4, "accepted", "promoted")]
    # what was forced once may be gone back to
    assert models("models", "rollback", "ctr")["version"] == 3


def test_the_text_shows_where_a_model_comes_from(models: Commands) -> None:
    before = models.run("models", "list").out, models.run("models", "show", "ctr").out
    assert "status" not in before[0]
    assert "meant" not in before[1]
    refused = judged(models, accepted=False, text=HOSTILE)
    mr_ml.promote(models.root, refused, force=True, reason=HOSTILE)
    text = models.run("models", "show", "ctr").out
    shown = "a\\tb\\n\\x1b[2J../=1+1"
    for part in (
        "gate: REFUSED, compared with ctr@1",
        "data: 2026-10-30 to 2026-11-26 (Europe/Berlin), 1 files of 1234 bytes; no data for 2026-11-01",
        "code: mr_ml 0.2.0; Python 3.11.2; numpy 1.26",
        f"made by ml on {shown} (process 7): mr-ml retrain ctr.yaml",
        f"forced although the gate refused it; {shown}",
        "what ctr has meant:",
    ):
        assert part in text
    assert "ok  days  28 days" in text
    assert f"NO  auc   {shown} (expected: at least 0.7)" in text
    for words in (("list",), ("show", "ctr"), ("diff", "ctr@1", "ctr"), ("promote", "ctr@1", "--reason", HOSTILE)):
        for more in ((), ("--json",)):
            out = models.run("models", *words, *more).out
            assert "\x1b" not in out
            assert "a\tb" not in out
    data = models("models", "show", refused)
    assert (data["decision"]["accepted"], data["provenance"]["window"]) == (False, "2026-11-26")
    assert data["promotions"][1]["reason"] == HOSTILE
    assert data["status"] == "former"


def test_diff_says_what_differs_by_name(models: Commands) -> None:
    a, b = (coefficients(models, f"ctr@{number}") for number in (1, 2))
    found = models("models", "diff", "ctr@1", "ctr")
    assert (found["a"], found["b"], found["dataset"]) == ("ctr@1", "ctr@2", ["clicks@1", "clicks@2"])
    assert found["spec"] == {"l2": [0.1, 0.2]}
    assert (found["n_only"], found["only"]) == ([1, 1], [["c=green"], ["c=blue"]])
    shared = sorted(a.keys() & b.keys(), key=lambda name: -abs(b[name] - a[name]))
    assert shared
    assert [(c["feature"], c["values"]) for c in found["coefficients"]] == [(n, [a[n], b[n]]) for n in shared]
    (intercept,) = found["intercepts"]
    assert intercept["feature"] is None
    assert models("models", "diff", "ctr@1", "ctr", "--features", 1)["coefficients"] == found["coefficients"][:1]
    same = models("models", "diff", "ctr@2", "ctr")
    assert [same[key] for key in ("spec", "training", "metrics", "coefficients")] == [{}, {}, {}, []]
    text = models.run("models", "diff", "ctr@1", "ctr").out
    for part in ("features of ctr@1 only: c=green", "features of ctr@2 only: c=blue", "spec l2", "(intercept)"):
        assert part in text
    judged(models, accepted=True)
    assert models("models", "diff", "ctr@1", "ctr")["metrics"] == {"auc": [None, 0.61]}


def test_diff_of_libsvm_goes_by_the_ids_in_the_text(tmp_path: Path) -> None:
    """Whatever ids count from, and where only some of many features occur."""
    commands = Commands(tmp_path / "root", ("-r", "inline"))
    ids = {"zero": (0, 7, 9), "one": (1, 7, 5_000_000)}
    for name, of_rows in ids.items():
        rows = [f"{k % 2} " + " ".join(f"{i}:{(k + i) % 7 % 3 + 1}" for i in of_rows) for k in range(20)]
        (tmp_path / name).write_text("\n".join(rows) + "\n")
        commands("pack", tmp_path / name, "--to", name)
        commands("train", name, "--model", name, "--l2", {"zero": 0.1, "one": 0.2}[name], "--solver", "lbfgs")
    found = commands("models", "diff", "zero", "one")
    a, b = (coefficients(commands, name) for name in ids)
    values = {c["feature"]: c["values"] for c in found["coefficients"]}
    assert "7" in values
    assert all(values[name] == [a[name], b[name]] for name in values)
    assert values.keys() | set(found["only"][0]) | set(found["only"][1]) == a.keys() | b.keys()
    assert "5000000" in found["only"][1]


def test_a_damaged_log_hides_nothing_and_can_be_got_over(models: Commands) -> None:
    models("models", "promote", "ctr@1")
    path = models.root / "models" / "ctr" / "promotions" / "v000002.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-30])
    for words in (("models", "show", "ctr"), ("evaluate", "ctr", "clicks"), ("models", "rollback", "ctr")):
        found = models.run(*words)
        assert (found.code, str(path) in found.err, "models promote ctr@N" in found.err) == (65, True, True)
    found = models.run("models", "list", "--json")
    assert (found.code, [m["version"] for m in found.result["models"]]) == (65, [1, 2])
    assert not any(m["promoted"] for m in found.result["models"])
    assert found.err.count(str(path)) == 1
    assert models.run("models", "show", "ctr@1").code == 65
    trained = models.run("train", "clicks@1", "--model", "ctr", "--json")
    assert (trained.code, trained.result["promoted"], "could not be read" in trained.err) == (0, False, True)
    assert models("models", "promote", "ctr@2")["number"] == 3
    assert models("evaluate", "ctr", "clicks@2", "--split", "train")["model"] == "ctr@2"


def test_a_damaged_version_is_neither_promoted_nor_gone_back_to(models: Commands) -> None:
    coef = Path(models("models", "show", "ctr@1")["coef_uri"])
    coef.chmod(0o644)
    coef.write_bytes(coef.read_bytes()[:-1] + b"x")
    for words in (("promote", "ctr@1"), ("rollback", "ctr"), ("rollback", "ctr", "--to", 1)):
        found = models.run("models", *words)
        assert (found.code, str(coef) in found.err) == (65, True)
    assert not (models.root / "models" / "ctr" / "promotions").exists()


def test_a_promoted_version_that_is_gone_is_said(models: Commands) -> None:
    models("models", "promote", "ctr@1")
    (models.root / "models" / "ctr" / "v000001.json").unlink()
    found = models.run("models", "show", "ctr")
    assert (found.code, "ctr means ctr@1, which is gone" in found.err) == (74, True)
    assert models("models", "promote", "ctr@2")["version"] == 2


def test_python_does_the_same(models: Commands) -> None:
    entry = mr_ml.promote(models.root, "ctr@1", reason="looked at")
    assert isinstance(entry, mr_ml.Promotion)
    assert (entry.version, entry.previous, entry.by["command"][1:]) == (1, 2, [])
    assert mr_ml.rollback(models.root, "ctr").version == 2
    for arguments in ({"to": 0}, {"to": True}, {"to": "1"}, {"reason": 3}):
        with pytest.raises(mr_ml.MrMlError, match=r"`(to|reason)`"):
            mr_ml.rollback(models.root, "ctr", **arguments)
    with pytest.raises(mr_ml.MrMlError, match="`force`"):
        mr_ml.promote(models.root, "ctr@1", force="yes")  # type: ignore[arg-type]
