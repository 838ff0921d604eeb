"""Kinds of model: one that is added from outside trains, is stored and read; what is of a newer kind is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from commands import Commands

import mr_ml
from hdfs_layout import decode_document, encode_document
from mr_ml.catalog.run import RunDocument, read_run
from mr_ml.data import stored
from mr_ml.errors import BadDataError
from mr_ml.models.base import MODEL_KINDS, TrainSpec
from mr_ml.models.linear.kind import LinearKind
from mr_ml.models.linear.kind.spec import LinearSpec

ROWS = "".join(f"{i % 2} 1:{i % 5} 2:{i % 3}\n" for i in range(60))


@dataclass(frozen=True)
class RidgeSpec(LinearSpec):
    """As a linear one, under another name and with other defaults."""

    kind: ClassVar[str] = "ridge"

    loss: str = "squared"
    l2: float = 1.0


class RidgeKind(LinearKind):
    """A toy: everything is that of linear models but the spec."""

    spec = RidgeSpec


@pytest.fixture
def ridge() -> Iterator[str]:
    MODEL_KINDS.register("ridge", RidgeKind())
    yield "ridge"
    MODEL_KINDS.unregister("ridge")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "rows.libsvm").write_text(ROWS)
    found = Commands(folder / "root", ("-r", "inline"))
    found("pack", folder / "rows.libsvm", "--to", "d")
    found("train", "d", "--model", "m", "--l2", "0.1")
    return found


def test_a_kind_from_outside(commands: Commands, ridge: str, tmp_path: Path) -> None:
    root = mr_ml.open_root(str(commands.root))
    done = mr_ml.train(root, "d", "r", kind=ridge)
    assert read_run(root, done.run).spec == RidgeSpec("d@1", "r")
    model = mr_ml.load_model(root, "r")
    assert model.manifest["spec"]["kind"] == "ridge"
    assert mr_ml.evaluate(root, model, "d", split="train")["n_rows"] == 60
    (tmp_path / "rows.libsvm").write_text(ROWS)
    assert mr_ml.predict(root, model, tmp_path / "rows.libsvm", tmp_path / "out")["n_rows"] == 60
    assert mr_ml.resume(root, done.run).version == done.version
    assert commands("runs", "show", done.run)["spec"]["l2"] == 1.0


def test_its_documents_are_refused_where_it_is_not_known(commands: Commands, ridge: str) -> None:
    done = mr_ml.train(str(commands.root), "d", "gone", kind=ridge)
    MODEL_KINDS.unregister("ridge")
    try:
        for words in (("models", "show", "gone"), ("runs", "show", done.run), ("train", "--resume", done.run)):
            found = commands.run(*words)
            assert (found.code, "kinds of model linear" in found.err, "newer mr_ml" in found.err) == (65, True, True)
    finally:
        MODEL_KINDS.register("ridge", RidgeKind())


def test_linear_documents_name_no_kind() -> None:
    spec = LinearSpec("d@1", "m", l2=0.5)
    assert list(spec.to_json()) == [
        "dataset", "model", "split", "loss", "l2", "penalty_space", "intercept", "row_weights", "class_weights",
        "solver", "tolerance", "max_passes",
    ]  # fmt: skip
    assert stored.read(TrainSpec, spec.to_json(), where="here") == spec
    assert stored.read(TrainSpec, {**spec.to_json(), "kind": "linear"}, where="here") == spec


def changed(path: Path, change: dict[str, Any], *within: str) -> bytes:
    """The file with keys changed within an object of it, sealed again as mr_ml does; returns what it was."""
    before = path.read_bytes()
    document = dict(decode_document(before, where="a test"))
    place = document
    for key in within:
        place[key] = dict(place[key])
        place = place[key]
    place.update(change)
    path.chmod(0o644)
    path.write_bytes(encode_document(document))
    return before


@pytest.mark.parametrize(
    ("change", "within"),
    [
        ({"gamma": 1}, ("spec",)),
        ({"kind": "forest"}, ("spec",)),
        ({"kind": 3}, ("spec",)),
        ({"loss": "hinge"}, ("spec",)),
        ({"penalty_space": "curved"}, ("spec",)),
        ({"gate": {}}, ()),
    ],
)
@pytest.mark.parametrize("document", ["run", "model"])
def test_what_a_newer_release_wrote_is_refused(
    commands: Commands, document: str, change: dict[str, Any], within: tuple[str, ...]
) -> None:
    run = commands("models", "show", "m")["run"]
    path, words = {
        "run": (commands.root / "runs" / run / "spec.json", ("train", "--resume", run)),
        "model": (commands.root / "models" / "m" / "v000001.json", ("evaluate", "m", "d", "--split", "train")),
    }[document]
    before = changed(path, change, *within)
    try:
        found = commands.run(*words)
    finally:
        path.write_bytes(before)
    assert found.code == 65
    assert path.name in found.err
    assert "Traceback" not in found.err
    assert "mr_ml" in found.err


def test_a_dataset_of_a_newer_release_is_refused(commands: Commands) -> None:
    path = commands.root / "datasets" / "d" / "v000001.json"
    before = changed(path, {"index": "tree"})
    try:
        found = commands.run("describe", "d")
    finally:
        path.write_bytes(before)
    assert (found.code, "also 'index'" in found.err, "newer mr_ml" in found.err) == (65, True, True)


def test_the_class_of_a_spec_is_told_by_its_document() -> None:
    with pytest.raises(BadDataError, match="kinds of model linear as spec, found 'forest'; written by a newer mr_ml"):
        stored.read(RunDocument, {"kind": "train", "spec": {"kind": "forest"}}, where="here")
