"""Nights that begin with a file of coefficients."""

from __future__ import annotations

import json

import coefficient_files as files
import pytest
from daily import SETTINGS, Daily, day
from patches import Killed, kill_at

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import promoted_version
from mr_ml.catalog.run_log import read_log
from mr_ml.retraining import config_schema
from mr_ml.retraining.config import load_config
from mr_ml.retraining.requests import settings_digest

FILE = "warm_start_from: start.npz\n"
# far from its own optimum, near that of the rows
START = {"coef": [[1.5, -1.0, 0.3]], "intercept": [-0.2], "feature_names": ["a", "b", "c"], "classes": ["no", "yes"]}


def with_file(daily: Daily, *more: str, **changed: object) -> None:
    (daily.folder / "start.npz").write_bytes(files.npz(**{**START, **changed}))
    daily.configure(SETTINGS + FILE + "".join(more))


def begun_with(daily: Daily, version: int) -> tuple[str | None, str | None]:
    spec = read_manifest(open_root(daily.root), "ctr", version)[0].spec
    return spec.warm_start, None if spec.warm_start_from is None else spec.warm_start_from.name


def test_the_first_night_begins_with_the_file_and_later_ones_need_it_no_more(daily: Daily) -> None:
    daily.configure()
    cold = daily.published(4)
    with_file(daily)
    daily.configure(daily.settings.read_text().replace("model: ctr", "model: warm"))
    preview = daily.run(4, "--dry-run")
    assert preview.result["warm_start_from"] == str(daily.folder / "start.npz")
    first = daily.published(4)
    root = open_root(daily.root)
    manifest = read_manifest(root, "warm", 1)[0]
    assert manifest.spec.warm_start_from is not None
    assert (manifest.spec.warm_start_from.name, manifest.spec.warm_start_from.format) == ("start.npz", "npz")
    objectives = [float(read_log(root, str(night["run"])).passes[0]["objective"]) for night in (cold, first)]
    assert objectives[1] < objectives[0]
    found = [mr_ml.load_model(daily.root, name).manifest["training"]["objective"] for name in ("ctr", "warm")]
    assert abs(found[0] - found[1]) < 1e-9
    (daily.folder / "start.npz").unlink()
    daily.published(5)
    later = read_manifest(root, "warm", 2)[0].spec
    assert (later.warm_start, later.warm_start_from) == ("warm@1", None)


def test_a_night_that_was_killed_goes_on_without_the_file(daily: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    with_file(daily)
    daily.configure(daily.settings.read_text().replace("root: root", "root: whole"))
    whole = mr_ml.retrain(daily.settings, last=day(4))
    with_file(daily)
    with monkeypatch.context() as patch:
        kill_at("fitted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(4))
    (daily.folder / "start.npz").unlink()
    (run,) = (daily.root / "runs").iterdir()
    for state in (run / "passes").rglob("*"):
        if state.is_file():
            state.unlink()
    daily.published(4)
    models = [mr_ml.load_model(daily.folder / name, "ctr") for name in ("whole", "root")]
    assert whole.candidate == "ctr@1"
    assert begun_with(daily, 1) == (None, "start.npz")
    assert models[0].coef.tobytes() == models[1].coef.tobytes()  # type: ignore[attr-defined]


def test_every_night_begins_with_the_file_if_none_begins_with_the_model(daily: Daily) -> None:
    with_file(daily, "warm_start: false\n")
    daily.published(4)
    daily.published(5)
    assert [begun_with(daily, k) for k in (1, 2)] == [(None, "start.npz")] * 2


def test_where_the_published_model_is_no_start_the_file_is(daily: Daily) -> None:
    daily.published(4)
    with_file(daily)
    daily.configure(daily.settings.read_text().replace("loss: logistic", "loss: squared_hinge"))
    done = daily.run(5)
    assert "training starts from" in done.err
    assert "start.npz" in done.err
    assert begun_with(daily, 2) == (None, "start.npz")


def test_a_file_that_is_wrong_ends_the_night_before_it_begins(daily: Daily) -> None:
    for data, code, said in (
        (None, 2, "cannot read"), (b"", 65, "empty file"), (b"\x80\x04\x95", 65, "pickle"),
        (files.npz(**{**START, "classes": ["a", "b"]}), 2, "['a', 'b']"),
        (files.npz(**{**START, "feature_names": ["x", "y", "z"]}), 2, "x, y, z"),
    ):  # fmt: skip
        with_file(daily)
        path = daily.folder / "start.npz"
        path.unlink() if data is None else path.write_bytes(data)
        done = daily.run(4)
        assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), done.err
    assert promoted_version(open_root(daily.root), "ctr") is None
    assert not (daily.root / "models" / "ctr" / "v000001.json").exists()
    daily.configure(SETTINGS + "warm_start_from: ''\n")
    done = daily.run(4)
    assert (done.code, "retrain.yaml:9: warm_start_from: expected a file" in done.err) == (2, True), done.err


def test_settings_without_the_key_are_those_of_earlier_releases(daily: Daily) -> None:
    plain = load_config(daily.settings)
    assert "warm_start_from" in plain.to_json()
    digest = settings_digest(plain)
    daily.configure(SETTINGS + "warm_start_from: null\n")
    assert settings_digest(load_config(daily.settings)) == digest
    daily.configure(SETTINGS + FILE)
    assert settings_digest(load_config(daily.settings)) != digest
    assert "warm_start_from" in json.loads(config_schema.FILE.read_text())["properties"]
