"""What is kept beside a model of its training rows: histograms, the file, and the same bits on other runners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import make_block
from golden_frames import PROFILE, golden
from night import Nights, clicks

from mr_ml.data import frame
from mr_ml.errors import BadDataError
from mr_ml.retraining.gate.profile import Profile, published_profile, save_profile
from mr_ml.session import Session
from mr_ml.sums import histogram
from mr_ml.sums.histogram import HistogramQuery


def test_a_histogram_counts_what_numpy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 5)) * (rng.random((300, 5)) < 0.6)
    columns, edges = np.array([1, 4], np.int32), np.sort(rng.normal(size=(2, 6)))
    # some values are edges
    edges[:, 3] = 0
    edges.sort()
    x[:6, 1] = edges[0]
    for form, at_once in (("dense", 1 << 20), ("sparse", 1 << 20), ("sparse", 1)):
        monkeypatch.setattr(histogram, "_DENSE_VALUES", at_once)
        query = HistogramQuery(columns, edges)
        found = query.read(query.map(make_block(x, np.zeros(300), form=form)))
        for k in range(2):
            bounds = [-np.inf, *edges[k], np.inf]
            assert found[k].tolist() == np.histogram(x[:, columns[k]], bounds)[0].tolist()


def test_what_is_kept_beside_a_model(nights: Nights) -> None:
    model = nights.yesterday("clicks")
    root = nights.session.root
    kept = published_profile(root, model)
    assert kept is not None
    assert kept.ranges is not None
    rows = np.array([line[1:4] for line in clicks(np.random.default_rng(1000), 3000)[1:]], float)
    assert kept.n_rows == model.manifest["n_rows"] == sum(kept.labels.values()) < len(rows)
    assert kept.mean[:3] == pytest.approx(rows.mean(axis=0), abs=4 * rows.std(axis=0).max() / 40)
    assert (kept.ranges.counts.sum(axis=1) == kept.n_rows).all()
    # a tenth of the rows of normal features is in each range
    assert kept.ranges.counts / kept.n_rows == pytest.approx(0.1, abs=0.03)
    path = root.layout.profile(model.name, model.manifest["run"])
    data = root.store.read(path)
    try:
        save_profile(root, model.name, model.manifest["run"], kept)
        assert root.store.read(path) == data
        root.store.write(path, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        with pytest.raises(BadDataError, match="profile: checksum mismatch"):
            published_profile(root, model)
        root.store.remove(path)
        of_dataset = published_profile(root, model)
        assert of_dataset is not None
        assert of_dataset.mean.tolist() == kept.mean.tolist()
        gone = replace(model, manifest={**model.manifest, "dataset": "no-such@3"})
        assert published_profile(root, gone) is None
    finally:
        root.store.write(path, data)


def test_a_file_of_a_profile() -> None:
    data = golden("profile-format-1.frame")
    assert PROFILE.encode() == data
    found = Profile.decode(data, n_features=70_001, where="golden")
    assert found.ranges is not None
    assert PROFILE.ranges is not None
    for one, other in ((found, PROFILE), (found.ranges, PROFILE.ranges)):
        for name, value in vars(other).items():
            if name != "ranges":
                assert np.array_equal(getattr(one, name), value), name
    with pytest.raises(BadDataError, match="golden: expected features from 0 to 69999"):
        Profile.decode(data, n_features=70_000, where="golden")
    opened = frame.decode(data, kind="profile", where="golden")
    newer = frame.encode("profile", {**opened.meta, "format": 2}, opened.arrays)
    with pytest.raises(BadDataError, match="expected a profile of format 1, found 2; upgrade mr_ml"):
        Profile.decode(newer, n_features=70_001, where="golden")
    short = frame.encode("profile", opened.meta, {**opened.arrays, "mean": np.zeros(2)})
    with pytest.raises(BadDataError, match=r"expected float64 of shape \(3,\) as mean"):
        Profile.decode(short, n_features=70_001, where="golden")


def test_the_same_bits_on_other_runners(nights: Nights) -> None:
    published = nights.yesterday("clicks")
    name = nights.pack(clicks(np.random.default_rng(6), 3000), partitions=4)
    candidate = nights.fit(name, "logistic")
    local = Session.open(nights.session.root, runner="local", workers=2)
    found = [
        replace(nights, session=session).gathered(candidate, published, name) for session in (nights.session, local)
    ]
    assert found[0].facts == found[1].facts
    ranges = [one.profile.ranges for one in found]
    assert ranges[0] is not None
    assert ranges[1] is not None
    assert ranges[0].counts.tolist() == ranges[1].counts.tolist()
