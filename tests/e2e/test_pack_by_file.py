"""Packing rows into the split of their file, once for each request, and what is missing in columns."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands

import mr_ml as api
from hdfs_layout import open_root
from mr_ml import session
from mr_ml.catalog.dataset import load_dataset
from mr_ml.data.partition_file import BlockRange
from mr_ml.errors import UsageError
from mr_ml.packing import plan
from mr_ml.packing.choices import PackChoices
from mr_ml.session import Session

Row = tuple[float, ...]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of libsvm rows of few kinds, so that equal ones are in every split; one compressed, one in parts."""
    folder = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(4)
    for day, n in ((1, 700), (2, 50), (3, 400), (4, 300)):
        rows = [f"{rng.integers(0, 2)} 1:{rng.integers(1, 9)} {rng.integers(2, 5)}:{day % 2}.5\n" for _ in range(n)]
        if day == 2:
            (folder / "day2.gz").write_bytes(gzip.compress("".join(rows).encode()))
        elif day == 3:
            (folder / "day3").mkdir()
            for part in range(2):
                (folder / "day3" / f"part-{part}").write_text("".join(rows[part::2]))
        else:
            (folder / f"day{day}").write_text("".join(rows))
    return folder


def text_of(path: Path) -> list[str]:
    if path.is_dir():
        return [line for part in path.iterdir() for line in text_of(part)]
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()


def rows_of(*paths: Path) -> Counter[Row]:
    """Label and four features of each row, by the text."""
    rows: Counter[Row] = Counter()
    for line in (line for path in paths for line in text_of(path)):
        label, *entries = line.split()
        values = dict(entry.split(":") for entry in entries)
        rows[float(label), *(float(values.get(str(k), 0)) for k in range(1, 5))] += 1
    return rows


def packed_rows(mr_ml: Commands, name: str, split: str) -> Counter[Row]:
    dataset = load_dataset(open_root(str(mr_ml.root)), name)
    rows: Counter[Row] = Counter()
    for p in dataset.of_split(split):
        whole = BlockRange(str(mr_ml.root / p.path), p.facts.partition, 0, 0, p.facts.line_bytes, p.facts.n_bytes)
        for stored in whole.read():
            x = stored.block.features.toarray(n_features=dataset.schema.n_features)
            rows.update(map(tuple, np.column_stack([stored.block.labels, x]).tolist()))
    return rows


def named(folder: Path, *more: object) -> list[object]:
    inputs = ["train=day1", "train=day2.gz", "valid=day3", "test=day4"]
    return [*(item for given in inputs for item in ("--split-inputs", given.replace("=", f"={folder}/"))), *more]


def bytes_of(mr_ml: Commands, name: str) -> dict[str, Any]:
    """What must not depend on who packed, and all bytes of partitions and moments."""
    manifest = mr_ml.manifest(f"{name}@1")
    files = [*manifest["partitions"], *manifest["moments"].values()]
    data = [(mr_ml.root / file["uri"]).read_bytes() for file in files]
    described = [{key: value for key, value in p.items() if key != "uri"} for p in manifest["partitions"]]
    return {
        "data": data, "partitions": described, **{key: manifest[key] for key in ("schema", "label_counts", "splits")}
    }  # fmt: skip


@pytest.mark.parametrize("folds", [1, 3])
def test_every_row_is_in_the_split_of_its_file(mr_ml: Commands, raw: Path, folds: int) -> None:
    found = mr_ml("pack", "--to", "days", *named(raw, "--partitions", "7", "--folds", folds, "--seed", "5"))
    wanted = {
        "train": rows_of(raw / "day1", raw / "day2.gz"), "valid": rows_of(raw / "day3"), "test": rows_of(raw / "day4")
    }  # fmt: skip
    assert found["splits"] == {"train": 750, "valid": 400, "test": 300}
    assert list(found["splits"]) == list(wanted)
    assert found["warnings"] == []
    assert wanted["train"].keys() & wanted["test"].keys(), "the test asks for equal rows in both"
    for split, rows in wanted.items():
        assert packed_rows(mr_ml, "days", split) == rows
        labels = Counter(str(int(label)) for label, *_ in rows.elements())
        assert found["label_counts"][split] == labels
    manifest = mr_ml.manifest("days@1")
    partitions = Counter(p["split"] for p in manifest["partitions"])
    # as large as the splits are
    assert partitions == {"train": 3 + (folds == 1), "valid": 3 if folds > 1 else 2, "test": 3 if folds > 1 else 1}
    assert manifest["packing"]["split_inputs"] == {
        "train": [f"{raw}/day1", f"{raw}/day2.gz"], "valid": [f"{raw}/day3"], "test": [f"{raw}/day4"]
    }  # fmt: skip
    assert not {"shares", "inputs", "by_file"} & manifest["packing"].keys()


def test_the_same_bytes_however_it_is_packed(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of workers; files cut anywhere, in another order, by other names."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 9)
    options = ("--partitions", "7", "--folds", "2", "--seed", "5")
    mr_ml = Commands(tmp_path / "root", runner=("-r", "inline"))
    mr_ml("pack", "--to", "alone", *named(raw, *options))
    alone = bytes_of(mr_ml, "alone")
    assert len(alone["data"]) > 7
    cut = tmp_path / "cut"
    for split, names in (("z", ["day1", "day2.gz"]), ("m", ["day3"]), ("a", ["day4"])):
        lines = sorted(line for name in names for line in text_of(raw / name))
        (cut / split).mkdir(parents=True)
        for k in range(3):
            (cut / split / f"{9 - k}").write_text("".join(f"{line}\n" for line in lines[k::3]))
    for k, workers in enumerate((1, 3)):
        runner = ("-r", "local", "--workers", workers)
        mr_ml("pack", "--to", f"w{workers}", *named(raw, *options, *runner))
        assert bytes_of(mr_ml, f"w{workers}") == alone
        splits = [f"train={cut}/z", f"valid={cut}/m", f"test={cut}/{'a/*' if k else 'a'}"]
        given = [item for split in splits for item in ("--split-inputs", split)]
        mr_ml("pack", "--to", f"cut{workers}", *given, *options, *runner)
        assert bytes_of(mr_ml, f"cut{workers}") == alone


def test_groups_stay_in_a_fold_and_follow_their_files(mr_ml: Commands, tmp_path: Path) -> None:
    for name, n in (("old", 60), ("new", 30)):
        (tmp_path / name).write_text("".join(f"{k % 2} qid:{k % 10} 1:{k}\n" for k in range(n)))
    given = ("--split-inputs", f"train={tmp_path}/old", "--split-inputs", f"test={tmp_path}/new")
    found = mr_ml("pack", "--to", "grouped", *given, "--split-by", "qid", "--folds", "3", "--partitions", "12")
    assert found["splits"] == {"train": 60, "test": 30}
    dataset = load_dataset(open_root(str(mr_ml.root)), "grouped")
    folds: dict[tuple[str, int], set[int | None]] = {}
    for p in dataset.partitions:
        whole = BlockRange(str(mr_ml.root / p.path), p.facts.partition, 0, 0, p.facts.line_bytes, p.facts.n_bytes)
        for stored in whole.read() if p.facts.rows else ():
            for value in stored.block.features.toarray(n_features=1)[:, 0].astype(int).tolist():
                folds.setdefault((p.split, value % 10), set()).add(p.fold)
    assert len(folds) == 20
    assert all(len(of_group) == 1 for of_group in folds.values())
    assert all(folds["train", group] == folds["test", group] for group in range(10))


def test_python_takes_inputs_by_split(tmp_path: Path, raw: Path) -> None:
    inputs: dict[str, Any] = {"train": [raw / "day1", str(raw / "day2.gz")], "test": raw / "day4"}
    dataset = api.pack(tmp_path, inputs, "days")
    assert {split: dataset.n_rows(split) for split in dataset.splits} == {"train": 750, "test": 300}
    result = api.train(tmp_path, "days", "model", l2=1e-3)
    assert api.evaluate(tmp_path, f"model@{result.version}", "days")["n_rows"] == 300


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "expected inputs: files, folders or globs of text; found none"),
        (["{raw}/day1", "--split-inputs", "test={raw}/day4"], 2, "--split-inputs names all inputs"),
        (["--split-inputs", "test={raw}/day4", "--split", "a=0.5,b=0.5"], 2, "leave other inputs and --split out"),
        (["--split-inputs", "{raw}/day4"], 2, "--split-inputs: expected names of letters"),
        (["--split-inputs", "test="], 2, "found 'test' with ['']"),
        (["--split-inputs", "../x={raw}/day4"], 2, "found '../x' with"),
        (["--split-inputs", "a={raw}/day1", "--split-inputs", "b={raw}/day?"], 2, "day1 is named more than once"),
        (["--split-inputs", "a={raw}/day1", "--split-inputs", "b={raw}/day9"], 2, "nothing that matches"),
        (
            ["--split-inputs", "a={raw}/day1", "--split-inputs", "b={raw}/empty"], 65,
            "expected rows of the split b, found none in {raw}/empty",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(mr_ml: Commands, raw: Path, arguments: list[str], code: int, said: str) -> None:
    (raw / "empty").write_text("# nothing\n")
    found = mr_ml.run("pack", "--to", "refused", *(each.replace("{raw}", str(raw)) for each in arguments))
    assert (found.code, said.replace("{raw}", str(raw)) in found.err) == (code, True), found.err
    assert not list((mr_ml.root / "datasets").glob("refused/**/v*"))


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_is_packed_once(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Session.open(tmp_path / "root", runner="inline")
    choices = PackChoices(split_inputs={"train": (f"{raw}/day1",), "test": (f"{raw}/day4",)})
    first = opened.pack([], "days", choices, request="night-1")
    assert (first.version, first.request) == (1, "night-1")
    assert opened.pack(["nothing"], "days", PackChoices(), request="night-1") == first
    # another process looked before there was a version
    with monkeypatch.context() as patch:
        patch.setattr(session, "find_dataset", lambda *args, **options: None)
        assert opened.pack([], "days", choices, request="night-1") == first
    data = tmp_path / "root" / "datasets" / "days" / "data"
    assert [folder.name for folder in data.iterdir()] == [first.data_id]
    assert opened.pack([], "days", choices, request="night-2").version == 2
    plain = opened.pack([], "days", choices)
    assert (plain.version, plain.request) == (3, None)
    assert "request" not in json.loads((tmp_path / "root/datasets/days/v000003.json").read_text())


def test_a_request_has_a_name(tmp_path: Path) -> None:
    opened = Session.open(tmp_path / "root", runner="inline")
    with pytest.raises(UsageError, match="name of a request"):
        opened.pack(["x"], "days", PackChoices(), request="../x")


# --- missing values ---------------------------------------------------------------------------------------------------


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def missing_in(path: Path, columns: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """Fields without a value of rows whose `x` is no bad one, by what means none in each column."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["x"] != "bad"]
    counts = {name: sum(row[name] in markers for row in rows) for name, markers in columns.items()}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("workers", [1, 3])
def test_missing_values_are_counted(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In columns of every kind; not those that are left out, and not in rows that are refused."""
    rng = np.random.default_rng(8)

    def field(values: list[str], share: float) -> str:
        return str(rng.choice(["", "NA"])) if rng.random() < share else str(rng.choice(values))

    rows = [
        {
            "x": "bad" if k % 200 == 7 else field(["1", "2.5"], 0.2),
            "dash": "-" if k % 9 == 2 else str(k),
            "colour": field(["red", "blue", "-"], 0.1),
            "code": field(["1", "2"], 0.3),
            "full": str(k % 7),
            "gone": "",
            "label": str(k % 2),
        }
        for k in range(900)
    ]
    old, new = write_table(tmp_path / "old.csv", rows[:600]), write_table(tmp_path / "new.csv", rows[600:])
    nothing = ("", "NA")
    columns = {"x": nothing, "dash": (*nothing, "-"), "colour": nothing, "code": nothing, "full": nothing}
    expected = {"train": missing_in(old, columns), "test": missing_in(new, columns)}
    assert set(expected["train"]) == {"x", "dash", "colour", "code"}
    mr_ml = Commands(tmp_path / "root", runner=("-r", "local", "--workers", str(workers)))
    options = ("--drop", "gone", "--categorical", "code", "--numeric", "x", "--missing", "zero", "--max-bad-rows", "9")
    given = ("--split-inputs", f"train={old}", "--split-inputs", f"test={new}")
    mr_ml("pack", *given, "--to", "rows", *options)
    packing = mr_ml.manifest("rows@1")["packing"]
    assert packing["missing_by_split"] == expected
    total = {name: expected["train"].get(name, 0) + expected["test"].get(name, 0) for name in expected["train"]}
    assert packing["missing"] == total
    # by shares, and with the columns of another dataset
    mr_ml("pack", old, new, "--to", "mixed", *options, "--split", "train=0.7,test=0.3")
    assert mr_ml.manifest("mixed@1")["packing"]["missing"] == total
    assert "missing_by_split" not in mr_ml.manifest("mixed@1")["packing"]
    mr_ml("pack", new, "--to", "later", "--like", "rows", "--max-bad-rows", "9")
    assert mr_ml.manifest("later@1")["packing"]["missing"] == expected["test"]


def test_nothing_is_said_where_nothing_is_missing(mr_ml: Commands, tmp_path: Path) -> None:
    rows = [{"x": str(k) if k % 5 else "", "label": str(k % 2)} for k in range(40)]
    table = write_table(tmp_path / "rows.csv", rows)
    mr_ml("pack", table, "--to", "dropped", "--missing", "drop")
    full = write_table(tmp_path / "full.csv", [row for row in rows if row["x"]])
    mr_ml("pack", full, "--to", "full", "--missing", "zero")
    for name in ("dropped", "full"):
        assert not {"missing", "missing_by_split"} & mr_ml.manifest(f"{name}@1")["packing"].keys()
