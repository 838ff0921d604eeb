"""How many jobs a pack takes on a cluster, and that its bytes, counts and refusals are those of this machine's."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in_cluster import Split, StandIn, far_cluster

from hdfs_layout import Root, open_root
from mr_ml import session as sessions
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import BadDataError, InternalError, NotFoundError, UnavailableError
from mr_ml.packing import driver, plan, through_jobs
from mr_ml.packing import sample as samples
from mr_ml.packing.choices import PackChoices
from mr_ml.packing.manifest import partitions_of
from mr_ml.packing.sample import Estimate
from mr_ml.readers.text.source import TextRange
from mr_ml.runners import task_errors
from mr_ml.runners.local.machine import LocalJobRunner
from mr_ml.session import Session

SMALL = 1 << 20
SCAN, PACK, SPREAD, INSPECT = "MRScan", "MRPack", "MRSpread", "MRInspect"


def libsvm(seed: int, n: int, *, groups: int = 0, kinds: int = 0) -> bytes:
    """Rows; of so many groups; only so many different ones."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, kinds, n) if kinds else np.arange(n) + 1000 * seed
    rows = (f"{k % 2} {f'qid:{k % groups} ' if groups else ''}1:{k} {2 + k % 7}:{k / 7:.6f}\n" for k in numbers)
    return "".join(rows).encode()


def csv(seed: int, n: int) -> bytes:
    rng = np.random.default_rng(seed)
    colours, weights = rng.choice(["red", "blue", 'a "b"'], n).tolist(), rng.random(n).tolist()
    rows = [
        f'{x!r},"{c.replace(chr(34), chr(34) * 2)}",{w:.4f},{y}\r\n'
        for x, c, w, y in zip(
            rng.normal(size=n).tolist(), colours, weights, rng.integers(0, 2, n).tolist(), strict=True
        )
    ]
    return ("x,colour,w,label\r\n" + "".join(rows)).encode()


LIBSVM, CSV = PackChoices(partitions=5, seed=3), PackChoices(partitions=5, seed=3, format="csv")
SHARES = {"train": 0.7, "test": 0.3}
# Files, what is chosen, and the jobs beside one that scans and packs.
CASES: dict[str, tuple[dict[str, bytes], PackChoices, list[str]]] = {
    "libsvm": ({"a": libsvm(1, 150), "b": libsvm(2, 90).rstrip()}, replace(LIBSVM, split=SHARES), []),
    "csv": ({"a.csv": csv(1, 120), "b.csv": csv(2, 60).rstrip()}, replace(CSV, split=SHARES, folds=2), []),
    "weights": ({"a.csv": csv(3, 150)}, replace(CSV, text={"weight_column": "w"}), []),
    "compressed": ({"a.gz": gzip.compress(libsvm(4, 100)), "b.bz2": bz2.compress(libsvm(5, 80)), "c": libsvm(6, 40)},
                   LIBSVM, []),
    "groups": ({"a": libsvm(7, 120, groups=11)}, replace(LIBSVM, split=SHARES, split_by="qid", folds=2), []),
    "splits": ({"a": libsvm(8, 90), "b": libsvm(9, 50)},
               replace(LIBSVM, split_inputs={"train": ("a",), "test": ("b",)}), []),
    "equal": ({"a": libsvm(10, 200, kinds=9)}, replace(LIBSVM, split=SHARES), [SPREAD]),
    "bad": ({"a": libsvm(11, 80) + b"1 x\n0 3:y\n" + libsvm(12, 20)}, replace(LIBSVM, max_bad_rows=2), []),
    "dense": ({"a.csv": b"".join(b"%d,%d,%d\n" % (k % 2, k, k * k) for k in range(90))},
              replace(CSV, text={"no_header": True, "label_column": 0}), []),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 9)
        yield


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Root]:
    with far_cluster(tmp_path) as root:
        yield root


class Site:
    """A folder of text, a root on this machine and one on the stand-in, and what was said on each."""

    def __init__(self, folder: Path, cluster: Root) -> None:
        self.raw, self.cluster = folder / "raw", cluster
        self.raw.mkdir()
        self.said: list[str] = []
        self.inline = Session(root=open_root(str(folder / "here")), runner=LocalJobRunner.of("inline", workers=None))

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.raw / name).write_bytes(data)

    def on(self, runner: StandIn) -> Session:
        return Session(root=self.cluster, runner=runner, say=self.said.append)

    def inputs(self, choices: PackChoices, place: str) -> tuple[list[str], PackChoices]:
        """Name all that is there, by a path or an address."""
        named = {split: tuple(f"{place}/{name}" for name in names) for split, names in choices.split_inputs.items()}
        return [] if named else [f"{place}/*"], replace(choices, split_inputs=named)

    def here(self, choices: PackChoices, name: str = "d") -> Dataset:
        inputs, choices = self.inputs(choices, str(self.raw))
        return self.inline.pack(inputs, name, choices)

    def there(self, runner: StandIn, choices: PackChoices, name: str = "d") -> Dataset:
        inputs, choices = self.inputs(choices, f"far://{self.raw}")
        return self.on(runner).pack(inputs, name, choices)


@pytest.fixture
def site(tmp_path: Path, cluster: Root) -> Site:
    return Site(tmp_path, cluster)


def bytes_of(root: Root, dataset: Dataset) -> tuple[Any, list[bytes]]:
    """What must not depend on who packed, and all bytes of partitions and moments."""
    document = dataset.to_json()
    named = [*document.pop("partitions"), *document.pop("moments").values()]
    packing = {key: value for key, value in document.pop("packing").items() if key not in ("inputs", "split_inputs")}
    data = [root.store.read(part.pop("uri")) for part in named]
    del document["data_id"]
    return json.loads(json.dumps([document, packing, named])), data


def nothing_left(site: Site) -> bool:
    """Whether there is no file of a dataset, and none of a job."""
    store = site.cluster.store
    return not any(store.walk(folder) for folder in ("datasets", "tmp") if store.exists(folder))


@pytest.mark.parametrize("case", CASES)
def test_as_few_jobs_as_may_be_and_the_same_bytes(site: Site, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, choices, more = CASES[case]
    # of a part of a compressed file it is not known how much it is
    scans = [SCAN] if case == "compressed" else []
    site.write(files)
    expected = bytes_of(site.inline.root, site.here(choices))
    assert sum(map(bool, expected[1])) > 3

    by_jobs = StandIn(root=site.cluster)
    assert bytes_of(site.cluster, site.there(by_jobs, choices)) == expected
    assert by_jobs.jobs == [*scans, PACK, *more]

    in_driver = StandIn(root=site.cluster, pack_bytes=SMALL)
    assert bytes_of(site.cluster, site.there(in_driver, choices)) == expected
    assert in_driver.jobs == []

    monkeypatch.setattr(through_jobs, "READ_BACK_BYTES", 0)
    large = StandIn(root=site.cluster)
    assert bytes_of(site.cluster, site.there(large, choices)) == expected
    assert large.jobs == [*scans, PACK, INSPECT, *(job for one in more for job in (one, INSPECT))]
    assert not site.cluster.store.exists("tmp") or not site.cluster.store.walk("tmp")


@pytest.mark.parametrize(("pack_bytes", "jobs"), [(0, [PACK]), (SMALL, [])])
def test_the_next_day_like_the_first(site: Site, pack_bytes: int, jobs: list[str]) -> None:
    """As a retraining packs it: by a request, which is packed once; with labels and words that are new."""
    site.write({"a.csv": csv(1, 90)})
    runner = StandIn(root=site.cluster, pack_bytes=pack_bytes)
    site.here(CSV), site.there(runner, CSV)
    (site.raw / "a.csv").write_bytes(csv(2, 70) + b'0.5,green,1,1\r\n0.5,red,1,"2"\r\n')
    like = replace(CSV, like="d", text={"unseen": "ignore"})
    runner.jobs.clear()
    for choices in (replace(CSV, like="d"), replace(like, text={})):
        with pytest.raises(BadDataError) as here:
            site.here(choices)
        with pytest.raises(BadDataError) as there:
            site.there(runner, choices)
        assert str(there.value).replace(f"far://{site.raw}", str(site.raw)) == str(here.value)
    assert runner.jobs == 2 * jobs
    runner.jobs.clear()
    (site.raw / "a.csv").write_bytes(csv(2, 70))
    like = replace(CSV, like="d")
    expected = bytes_of(site.inline.root, site.here(like, "next"))
    inputs, choices = site.inputs(like, f"far://{site.raw}")
    found = site.on(runner).pack(inputs, "next", choices, request="night-1")
    assert runner.jobs == jobs
    assert site.on(runner).pack(inputs, "next", choices, request="night-1") == found
    assert runner.jobs == jobs
    found = replace(found, request=None)
    assert bytes_of(site.cluster, found) == expected


# What a sample of the text says of it, and the jobs beside those for equal rows.
SAMPLES: dict[str, tuple[Callable[[Estimate], Estimate], list[str]]] = {
    "right": (lambda known: known, [PACK]),
    "nearly right": (lambda known: known._replace(stored=known.stored * 1.001), [PACK]),
    "wrong": (lambda known: known._replace(n_rows=known.n_rows * 4, stored=known.stored * 4), [PACK, PACK]),
    "uncertain": (lambda known: known._replace(stored_spread=0.9), [SCAN, PACK]),
}


@pytest.mark.parametrize(
    ("case", "sample"),
    [
        *((case, "right") for case in ("csv", "weights", "groups")),
        *((case, "wrong") for case in ("csv", "splits", "equal")),
        *(("libsvm", sample) for sample in SAMPLES),
    ],
)
def test_one_job_where_the_schema_is_known(site: Site, case: str, sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whatever is expected of the text, the partitions follow from all of it: here several by its size."""
    monkeypatch.setattr(plan, "PARTITION_BYTES", 1 << 9)
    files, choices, more = CASES[case]
    changed, jobs = SAMPLES[sample]
    monkeypatch.setattr(samples, "_estimate", lambda *a, known=samples._estimate: changed(known(*a)))
    site.write(files)
    site.here(choices), site.there(StandIn(root=site.cluster), choices)
    like = replace(choices, like="d", partitions=None, text={}, format=None)
    expected = bytes_of(site.inline.root, site.here(like))
    assert len(expected[0][2]) > 4
    runner = StandIn(root=site.cluster)
    assert bytes_of(site.cluster, site.there(runner, like)) == expected
    assert runner.jobs == [*jobs, *more]
    folders = site.cluster.store.list("datasets/d/data")
    assert len(folders) == 2, "what was packed in vain is gone"


FROM_ZERO = libsvm(14, 150) + b"1 0:1\n"
MISTAKE = b"1,three,3\n"
NUMBERS = b"".join(b"%d,%d,%d\n" % (k % 2, k, k * k) for k in range(90))


@pytest.mark.parametrize(
    ("case", "text", "sees_all", "jobs"),
    [
        ("libsvm", libsvm(13, 150) + b"3 9:0.5\n", False, [PACK]),
        ("libsvm", FROM_ZERO, True, [PACK]),
        ("libsvm", FROM_ZERO, False, [PACK, PACK]),
        ("dense", NUMBERS + b"7,1,-2\n" * 3 + b"8,0.5,1\n", False, [PACK, SPREAD]),
        ("dense", NUMBERS + b"1,two,3\n" * 60, True, [PACK, SPREAD]),
        ("dense", NUMBERS + b"1,two,3\n" * 60, False, [PACK, PACK, SPREAD]),
        ("dense", NUMBERS + MISTAKE, False, [PACK, SCAN]),
    ],
    ids=["more", "zero", "zero late", "labels late", "words", "words late", "mistake late"],
)
def test_a_sample_that_does_not_see_all(
    site: Site, case: str, text: bytes, sees_all: bool, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is packed, or why nothing is, follows from all of the text none the less."""
    _, choices, _ = CASES[case]
    name = "a" if case == "libsvm" else "a.csv"
    site.write({name: text})
    end = len(libsvm(13, 140)) if case == "libsvm" else len(NUMBERS) - 50
    if not sees_all:
        places = [TextRange(f"far://{site.raw}/{name}", at, min(at + 100, end), "none", 0) for at in range(0, end, 100)]
        monkeypatch.setattr(samples, "_places", lambda files, n_bytes: places)
    runner = StandIn(root=site.cluster)
    if text.endswith(MISTAKE):
        with pytest.raises(BadDataError) as here:
            site.here(choices)
        with pytest.raises(BadDataError) as there:
            site.there(runner, choices)
        assert str(there.value).replace(f"far://{site.raw}", str(site.raw)) == str(here.value)
        assert nothing_left(site)
    else:
        expected = bytes_of(site.inline.root, site.here(choices))
        assert bytes_of(site.cluster, site.there(runner, choices)) == expected
        assert len(site.cluster.store.list("datasets/d/data")) == 1
    assert runner.jobs == jobs


@pytest.mark.parametrize("at", [1, 2])
def test_nothing_is_left_of_a_pack_that_is_stopped(site: Site, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its job, and before the one that packs once more."""
    changed, _ = SAMPLES["wrong"]
    monkeypatch.setattr(samples, "_estimate", lambda *a, known=samples._estimate: changed(known(*a)))
    monkeypatch.setattr(plan, "PARTITION_BYTES", 1 << 9)
    site.write({"a": libsvm(1, 150)})
    runner = StandIn(root=site.cluster)

    def begins(name: str) -> None:
        if len(runner.jobs) == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.there(replace(runner, begins=begins), replace(LIBSVM, partitions=None))
    assert runner.jobs == [PACK] * at
    assert nothing_left(site)


def test_a_compressed_text_is_scanned_first(site: Site) -> None:
    """What a part of it would come to is not known."""
    files, choices, _ = CASES["compressed"]
    site.write(files)
    site.there(StandIn(root=site.cluster), choices)
    runner = StandIn(root=site.cluster)
    site.there(runner, replace(choices, like="d"))
    assert runner.jobs == [SCAN, PACK]


BOTH = pytest.mark.parametrize("pack_bytes", [0, SMALL], ids=["jobs", "driver"])


@BOTH
@pytest.mark.parametrize(
    ("files", "choices", "error", "said"),
    [
        ({"a": b"1 1:1\n0 2:x\n1 1:3\n"}, LIBSVM, BadDataError, "/a:2: 0 2:x"),
        ({"a": b"# nothing\n"}, LIBSVM, BadDataError, "expected rows, found none"),
        ({"a": b"\xef\xbb\xbf1 1:1\n"}, LIBSVM, BadDataError, "byte order mark"),
        ({"a.gz": gzip.compress(libsvm(1, 50))[:-9]}, LIBSVM, BadDataError, "a.gz"),
    ],
)
def test_what_is_refused(
    site: Site, pack_bytes: int, files: dict[str, bytes], choices: PackChoices, error: type[Exception], said: str
) -> None:
    site.write(files)
    with pytest.raises(error, match=said):
        site.there(StandIn(root=site.cluster, pack_bytes=pack_bytes), choices)
    assert nothing_left(site)


@BOTH
def test_a_file_that_changes_meanwhile(site: Site, pack_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its rows are in their partitions already."""
    site.write({"a": libsvm(1, 50)})

    def grown(*args: Any, known_good: Any = partitions_of) -> Any:
        with (site.raw / "a").open("ab") as file:
            file.write(b"1 1:1\n")
        return known_good(*args)

    monkeypatch.setattr(driver, "partitions_of", grown)
    with pytest.raises(BadDataError, match="changed while it was read"):
        site.there(StandIn(root=site.cluster, pack_bytes=pack_bytes), LIBSVM)
    assert nothing_left(site)


@pytest.mark.parametrize("job", [SCAN, PACK])
def test_text_that_a_job_is_fed_twice_or_not_at_all(site: Site, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write({"a": libsvm(1, 150)})
    if job == SCAN:
        monkeypatch.setattr(samples, "take", lambda *sampled: None)
    for change, said in ((lambda splits: [*splits, splits[1]], "done twice"), (lambda splits: splits[:-1], "complete")):
        runner = StandIn(root=site.cluster)

        def fed(splits: list[Split], change: Any = change, runner: StandIn = runner) -> list[Split]:
            return change(splits) if runner.jobs[-1] == job else splits

        with pytest.raises(InternalError, match=said):
            site.there(replace(runner, fed=fed), LIBSVM)
    assert nothing_left(site)


@pytest.mark.parametrize("read_back_bytes", [0, through_jobs.READ_BACK_BYTES])
@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (lambda data: None, InternalError, "run it again"),
        (lambda data: data[:90] + bytes([data[90] ^ 1]) + data[91:], BadDataError, "a partition file just written"),
        (lambda data: data[data.index(b"\n") + 1 :], BadDataError, "a partition file just written: expected"),
        (lambda data: data[: data[:-1].rindex(b"\n") + 1], InternalError, "the shuffle was not complete"),
        (
            lambda data: data + b"!error\t" + task_errors.encode(UnavailableError("no room")),
            UnavailableError,
            "no room",
        ),
    ],
    ids=["missing", "damaged", "begins late", "ends early", "failed"],
)
def test_a_partition_file_that_is_not_what_was_packed(
    site: Site, harm: Callable[[bytes], bytes | None], error: type[Exception], said: str, read_back_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Whoever reads it back, the driver or a job."""
    site.write({"a": libsvm(1, 150)})
    monkeypatch.setattr(through_jobs, "READ_BACK_BYTES", read_back_bytes)

    class Harms(StandIn):
        def produce(self, job: Any, *, output: str, **how: Any) -> None:
            super().produce(job, output=output, **how)
            path, store = f"{output}/part-00002", self.root.store
            harmed = harm(store.read(path))
            store.remove(path)
            if harmed is not None:
                store.write(path, harmed)

    with pytest.raises((error, NotFoundError) if read_back_bytes == 0 else error) as found:
        site.there(Harms(root=site.cluster), LIBSVM)
    assert isinstance(found.value, NotFoundError) or said in str(found.value)
    assert nothing_left(site)


def test_where_the_driver_packs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(libsvm(1, 400))
    site.write({"a.gz": data})
    # what is compressed counts for more
    for pack_bytes, jobs in ((8 * len(data) - 1, [SCAN, PACK]), (8 * len(data), [])):
        runner = StandIn(root=site.cluster, pack_bytes=pack_bytes)
        site.there(runner, LIBSVM)
        assert runner.jobs == jobs
        assert any("pack_in_driver_mb" in text for text in site.said) == (not jobs)
    monkeypatch.setattr(sessions, "rows_budget", lambda memory, runner: 0)
    runner = StandIn(root=site.cluster, pack_bytes=SMALL)
    site.there(runner, LIBSVM)
    assert runner.jobs == [SCAN, PACK]
    assert "too little memory" in site.said[-1]
