"""Files of columns on a cluster: tasks read their own parts of them, at addresses, and pack what this machine packs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest
import resident_tasks
from resident_tasks import Web
from stand_in_cluster import StandIn, far_cluster

from hdfs_layout import Address, Root, open_root
from mr_ml.catalog.dataset import Dataset
from mr_ml.data import fetched
from mr_ml.errors import BadDataError, NotFoundError, UnavailableError, UsageError
from mr_ml.packing.choices import PackChoices
from mr_ml.readers.tables import needs
from mr_ml.readers.text import source
from mr_ml.runners.local.machine import LocalJobRunner
from mr_ml.session import Session

SCAN, PACK = "MRScan", "MRPack"
CHOICES = PackChoices(partitions=3, folds=2, seed=3, text={"drop": "id", "missing": "zero"})


def table(seed: int, n: int = 300) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pa.table(
        {
            "id": [f"r{seed}-{k}" for k in range(n)],
            "x": x,
            "z": pa.array([None if k % 9 == 0 else k / 7 for k in range(n)], pa.float64()),
            "colour": rng.choice(["red", "blue", 'a, "b"'], n).tolist(),
            "label": (x > 0).astype(int),
        }
    )


def parquet(rows: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(rows, out, row_group_size=50)
    return out.getvalue()


def orc(rows: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.orc.write_table(rows, out, stripe_size=4096, batch_size=64)
    return out.getvalue()


def avro(rows: Any) -> bytes:
    types: dict[str, Any] = {"x": "double", "z": ["null", "double"], "label": "long"}
    fields = [{"name": name, "type": types.get(name, "string")} for name in rows.column_names]
    out = io.BytesIO()
    schema = {"type": "record", "name": "row", "fields": fields}
    fastavro.writer(out, schema, rows.to_pylist(), codec="deflate", sync_interval=900)
    return out.getvalue()


WRITERS: dict[str, Callable[[Any], bytes]] = {"parquet": parquet, "orc": orc, "avro": avro}


class Site:
    """Raw files, a root on this machine, and one on a stand-in whose store gives out addresses."""

    def __init__(self, folder: Path, cluster: Root, web: Web) -> None:
        self.raw, self.cluster, self.web = folder / "raw", cluster, web
        self.inline = Session(root=open_root(str(folder / "here")), runner=LocalJobRunner.of("inline", workers=None))
        self.runner = StandIn(root=cluster)

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.raw / name).parent.mkdir(parents=True, exist_ok=True)
            (self.raw / name).write_bytes(data)

    def here(self, choices: PackChoices = CHOICES) -> Dataset:
        return self.inline.pack(*self._asked(choices, ""))

    def there(self, choices: PackChoices = CHOICES) -> Dataset:
        return Session(root=self.cluster, runner=self.runner).pack(*self._asked(choices, "far://"))

    def _asked(self, choices: PackChoices, scheme: str) -> tuple[list[str], str, PackChoices]:
        named = {
            split: tuple(f"{scheme}{self.raw}/{name}" for name in of) for split, of in choices.split_inputs.items()
        }
        return [] if named else [f"{scheme}{self.raw}"], "d", replace(choices, split_inputs=named)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(source, "RANGE_BYTES", 2000)
    monkeypatch.setattr(fetched, "PART_BYTES", 512)
    monkeypatch.chdir(tmp_path)
    with far_cluster(tmp_path) as root, resident_tasks.web() as web:

        def addresses(store: Any, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
            url = f"{web.address}{quote(store.folder.uri(path))}?op=OPEN"
            return (Address(url=url, part_query="&offset={offset}&length={length}"),)

        monkeypatch.setattr(type(root.store), "addresses", addresses)
        yield Site(tmp_path, root, web)


def bytes_of(root: Root, dataset: Dataset) -> tuple[Any, list[bytes]]:
    """What must not depend on who packed, and all bytes of partitions and moments."""
    document = dataset.to_json()
    named = [*document.pop("partitions"), *document.pop("moments").values()]
    packing = {key: value for key, value in document.pop("packing").items() if key not in ("inputs", "split_inputs")}
    data = [root.store.read(part.pop("uri")) for part in named]
    del document["data_id"]
    return json.loads(json.dumps([document, packing, named])), data


def nothing_left(site: Site) -> bool:
    return not any(site.cluster.store.walk(name) for name in ("datasets", "tmp") if site.cluster.store.exists(name))


def ranges_by_task(site: Site) -> list[tuple[str, int, int]]:
    """File and bytes of each range that tasks asked for."""
    parts = [urlsplit(seen) for seen in site.web.seen]
    asked = [(part.path.rpartition("/")[2], parse_qs(part.query)) for part in parts]
    return [(name, int(query["offset"][0]), int(query["length"][0])) for name, query in asked]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("by_file", [False, True], ids=["shares", "files"])
def test_the_bytes_of_this_machine(site: Site, form: str, by_file: bool) -> None:
    """Several tasks for a file, columns that folders name, an empty file, and splits by file."""
    write = WRITERS[form]
    files = [f"dt=2026-11-0{day}/part-{day}.{form}" for day in (1, 2)]
    site.write({name: write(table(day)) for day, name in enumerate(files)})
    site.write({f"dt=2026-11-03/none.{form}": b"", "dt=2026-11-03/_SUCCESS": b""})
    split = {"train": (f"dt=*1/*.{form}",), "test": (files[1],)}
    choices = replace(CHOICES, split_inputs=split) if by_file else replace(CHOICES, split={"train": 0.7, "test": 0.3})
    expected = site.here(choices)
    found = site.there(choices)
    assert bytes_of(site.cluster, found) == bytes_of(site.inline.root, expected)
    assert site.runner.jobs == [SCAN, PACK]
    assert found.n_rows() == 600
    assert len({name for name, *_ in ranges_by_task(site)}) == 2


def test_tasks_read_what_is_theirs_and_of_it_the_columns_in_use(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RANGE_BYTES", 1)
    noise = np.random.default_rng(0)
    unused = pa.array(noise.bytes(4000) for _ in range(300))
    data = parquet(table(1).append_column("noise", unused))
    site.write({"a.parquet": data})
    site.there(replace(CHOICES, text={**CHOICES.text, "drop": "id,noise"}))
    asked = [length for _, _, length in ranges_by_task(site)]
    # each of two jobs has a task for each of six row groups; each also reads the end of the file
    used, end = len(data) - 300 * 4000, int.from_bytes(data[-8:-4], "little")
    blocks = 8192
    assert sum(asked) < 2 * (used + 6 * (end + 4 * blocks)) < len(data)


def test_files_of_this_machine_are_brought_there(site: Site) -> None:
    site.write({"a.parquet": parquet(table(1)), "b.parquet": parquet(table(2))})
    expected = site.here()
    session = Session(root=site.cluster, runner=site.runner)
    found = session.pack([str(site.raw)], "d", CHOICES)
    assert bytes_of(site.cluster, found) == bytes_of(site.inline.root, expected)
    assert not site.cluster.store.exists("tmp") or not site.cluster.store.walk("tmp")
    with pytest.raises(BadDataError, match=f"{site.raw}/a.parquet:1: z="):
        session.pack([str(site.raw)], "e", replace(CHOICES, text={"drop": "id"}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: b"no Parquet at all" * 200, "b.parquet: expected Parquet, found a file that is damaged or of"),
        (lambda data: data[: len(data) // 2], "b.parquet: expected Parquet, found a file that is damaged or of"),
        (lambda data: data[:-4] + b"PARE", "b.parquet: expected Parquet, found a file that is damaged or of"),
        (lambda data: data[:200] + b"\xff" * 900 + data[1100:], "b.parquet: expected Parquet, found a file that is"),
        (lambda data: parquet(table(2).drop(["z"])), "b.parquet: expected the columns .*, found none called z"),
        (
            lambda data: parquet(table(2).drop(["z"]).append_column("z", pa.array(["a"] * 300))),
            "expected one kind of values in column 'z', found numbers .* and texts",
        ),
        (
            lambda data: parquet(table(2).append_column("deep", pa.array([{"a": 1}] * 300))),
            "b.parquet: expected numbers or texts in column 'deep', found struct",
        ),
    ],
    ids=["text", "cut off", "encrypted", "damaged within", "another schema", "another type", "nested"],
)
def test_what_is_wrong_with_one_of_the_files(site: Site, harm: Callable[[bytes], bytes], said: str) -> None:
    """It is named, in the words of this machine."""
    data = parquet(table(2))
    site.write({"a.parquet": parquet(table(1)), "b.parquet": harm(data), "c.parquet": parquet(table(3))})
    choices = replace(CHOICES, text={"drop": "id"})
    with pytest.raises(BadDataError, match=said) as there:
        site.there(choices)
    with pytest.raises(BadDataError, match=said) as here:
        site.here(choices)
    assert str(there.value).replace(f"far://{site.raw}", str(site.raw)) == str(here.value)
    assert nothing_left(site)


def test_a_file_that_is_removed_before_its_task_reads_it(site: Site) -> None:
    site.write({"a.parquet": parquet(table(1)), "b.parquet": parquet(table(2))})

    def gone(name: str) -> None:
        (site.raw / "b.parquet").unlink(missing_ok=True)

    site.runner = StandIn(root=site.cluster, begins=gone)
    with pytest.raises(NotFoundError, match=f"far://{site.raw}/b.parquet"):
        site.there()
    assert nothing_left(site)


def test_pieces_that_are_read_twice_or_not_at_all(site: Site) -> None:
    site.write({"a.parquet": parquet(table(1))})
    for fed, said in ((lambda splits: splits[1:], "gave no answer"), (lambda splits: splits + splits[:1], "twice")):
        site.runner = StandIn(root=site.cluster, fed=fed)
        with pytest.raises(Exception, match=said):
            site.there()
        assert nothing_left(site)


@pytest.mark.parametrize("form", WRITERS)
def test_a_node_without_the_library_is_told_what_to_do(site: Site, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write({f"a.{form}": WRITERS[form](table(1))})
    known = import_module

    def missing(name: str) -> Any:
        if site.runner.jobs:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return known(name)

    monkeypatch.setattr(needs, "import_module", missing)
    with pytest.raises(UnavailableError, match="`mr-ml env build --tables`"):
        site.there()
    assert nothing_left(site)


def test_a_store_without_addresses(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write({"a.parquet": parquet(table(1))})
    monkeypatch.setattr(type(site.cluster.store), "addresses", lambda *args, **kwargs: ())
    with pytest.raises(UsageError, match="Use `runner` local"):
        site.there()
    assert site.runner.jobs == []


def test_small_files_are_packed_by_the_driver(site: Site) -> None:
    data = parquet(table(1))
    site.write({"a.parquet": data})
    expected = site.here()
    # as text they are larger
    for pack_bytes, jobs in ((8 * len(data) - 1, [SCAN, PACK]), (8 * len(data), [])):
        site.runner = StandIn(root=site.cluster, pack_bytes=pack_bytes)
        found = site.there()
        assert bytes_of(site.cluster, found) == bytes_of(site.inline.root, expected)
        assert site.runner.jobs == jobs
