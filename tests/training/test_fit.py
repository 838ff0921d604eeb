"""Fitting and publishing are two steps: nobody sees what is fitted until it is published, and then bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mr_ml
from hdfs_layout import read_version
from mr_ml.catalog.decision import Check, Decision
from mr_ml.catalog.model import load_model, read_manifest
from mr_ml.catalog.provenance import InputFile, Provenance
from mr_ml.errors import StorageError, UsageError
from mr_ml.models.base import TrainSpec
from mr_ml.session import Session

DECISION = Decision(
    accepted=False, against="m@1",
    checks=(Check(name="rows", passed=False, found="3", expected="at least 5", numbers={"rows": 3.0}),),
    metrics={"log_loss": 0.5}, published_metrics={},
)  # fmt: skip
PROVENANCE = Provenance(
    window="2026-11-26", first_day="2026-11-20", timezone="UTC", missing_days=("2026-11-22",),
    inputs=(InputFile(path="/in/dt=2026-11-26/x", size=3, checksum="sha256:00", day="2026-11-26"),),
    code={"mr_ml": "0"}, python="3", packages={"numpy": "2"}, settings={"l2": 0.1}, by={"user": "u", "pid": 1},
)  # fmt: skip


@pytest.fixture
def session(tmp_path: Path) -> Session:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 3))
    y = np.array(["no", "yes"])[(x @ [1, -1, 0.5] + rng.normal(size=200) > 0).astype(int)]
    rows = [f"{','.join(map(repr, row))},{label}\n" for row, label in zip(x.tolist(), y, strict=True)]
    (tmp_path / "rows.csv").write_text("a,b,c,label\n" + "".join(rows))
    mr_ml.pack(tmp_path / "root", tmp_path / "rows.csv", "rows")
    return Session.open(tmp_path / "root", runner="inline")


def spec_of(session: Session, **options: object) -> TrainSpec:
    return session.spec("linear", "rows", "m", "train", {"l2": 0.01, **options})


def test_a_candidate_is_the_model_that_is_published(session: Session) -> None:
    fitted = session.fit(spec_of(session), run="first")
    with pytest.raises(StorageError, match="m"):
        load_model(session.root, "m")
    assert (fitted.run, fitted.dataset.reference, fitted.training["converged"]) == ("first", "rows@1", True)
    assert (fitted.model.version, fitted.model.reference) == (0, "m (candidate)")
    result = session.publish(fitted)
    published = load_model(session.root, "m")
    assert (result.version, published.reference) == (1, "m@1")
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert fitted.model.predict_proba(x).tobytes() == published.predict_proba(x).tobytes()
    assert session.evaluate(fitted.model, "rows", split="train") == {
        **session.evaluate("m@1", "rows", split="train"), "model": "m (candidate)"
    }  # fmt: skip


def test_a_run_publishes_once_whoever_fits_it_again(session: Session) -> None:
    spec = spec_of(session)
    results = [session.publish(session.fit(spec, run="first")) for _ in range(2)]
    again = session.fit(spec, run="first")
    assert {session.publish(again).version for _ in range(2)} | {result.version for result in results} == {1}
    assert session.resume("first").version == 1
    assert session.publish(session.fit(spec, run="second")).version == 2


def test_a_run_is_of_one_spec(session: Session) -> None:
    session.fit(spec_of(session), run="first")
    with pytest.raises(UsageError, match=r"run first was asked for .*'l2': 0\.01.*found .*'l2': 0\.5"):
        session.fit(spec_of(session, l2=0.5), run="first")
    with pytest.raises(UsageError, match="name"):
        session.fit(spec_of(session), run="../first")


def test_the_manifest_has_what_was_decided_and_only_then(session: Session) -> None:
    session.publish(session.fit(spec_of(session), run="plain"))
    session.publish(session.fit(spec_of(session), run="gated"), decision=DECISION, provenance=PROVENANCE)
    plain, gated = (read_version(session.root.store, session.root.layout.model("m"), k).document for k in (1, 2))
    assert set(gated) - set(plain) == {"decision", "provenance"}
    manifest, _ = read_manifest(session.root, "m", 2)
    assert (manifest.decision, manifest.provenance) == (DECISION, PROVENANCE)
    assert read_manifest(session.root, "m", 1)[0].decision is None
