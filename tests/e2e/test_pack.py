"""Packing through the command line: balance, splits, folds, groups, bad rows, borrowed schemas, what describe says."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_csv, write_libsvm

from hdfs_layout import open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.data.partition_file import BlockRange
from mr_ml.packing import exchange
from mr_ml.packing.exchange import PackMemory
from mr_ml.packing.tasks import REPORT
from mr_ml.readers.text import source
from mr_ml.runners.local import tasks as local_tasks
from mr_ml.runners.local.scratch import scratch_folder

Row = tuple[float, ...]


def packed_rows(mr_ml: Commands, name: str) -> dict[tuple[str, int | None, int], list[Row]]:
    """(label, features...) of every row by split, fold and partition, in the order of the file."""
    dataset = load_dataset(open_root(str(mr_ml.root)), name)
    found: dict[tuple[str, int | None, int], list[Row]] = {}
    for p in dataset.partitions:
        whole = BlockRange(str(mr_ml.root / p.path), p.facts.partition, 0, 0, p.facts.line_bytes, p.facts.n_bytes)
        rows: list[Row] = []
        for stored in whole.read():
            x = stored.block.features.toarray(n_features=dataset.schema.n_features)
            rows += map(tuple, np.column_stack([stored.block.labels, x]).tolist())
        found[p.split, p.fold, p.facts.partition] = rows
    return found


def by_split(found: dict[tuple[str, int | None, int], list[Row]]) -> dict[str, list[Row]]:
    splits: dict[str, list[Row]] = defaultdict(list)
    for (split, _, _), rows in found.items():
        splits[split] += rows
    return dict(splits)


def test_partitions_are_balanced_and_random(mr_ml: Commands, tmp_path: Path) -> None:
    """100,000 rows sorted by label and by value: every partition is a fair sample."""
    file = tmp_path / "rows"
    file.write_text("".join(f"{int(k >= 70_000)} 1:{k / 16}\n" for k in range(100_000)))
    shape = mr_ml("pack", file, "--to", "sorted", "--partitions", "8")
    assert (shape["n_rows"], shape["partitions"]) == (100_000, 8)
    partitions = mr_ml.manifest("sorted@1")["partitions"]
    for size in ("rows", "bytes"):
        sizes = [p[size] for p in partitions]
        assert max(sizes) <= 1.1 * min(sizes), sizes
    for rows in packed_rows(mr_ml, "sorted").values():
        labels, values = np.array(rows).T
        assert np.mean(labels) == pytest.approx(0.3, abs=0.03)
        assert abs(np.corrcoef(np.arange(len(values)), values)[0, 1]) < 0.06


def test_partitions_follow_from_the_size(mr_ml: Commands, tmp_path: Path) -> None:
    """One partition where the data is small; the same with any number of workers."""
    x, y = np.random.default_rng(0).normal(size=(500, 3)), np.zeros(500)
    y[::2] = 1
    file = write_libsvm(tmp_path / "rows", x, y)
    assert mr_ml("pack", file, "--to", "a", "-r", "local", "--workers", "3")["partitions"] == 1
    assert mr_ml("pack", file, "--to", "a", "-r", "inline")["partitions"] == 1


def repeated_rows() -> tuple[Any, Any]:
    """1,200 rows of which every one stands there up to four times."""
    rng = np.random.default_rng(4)
    x = rng.integers(0, 1000, size=(400, 2)) + 0.5
    x, y = x[rng.integers(0, 400, 1200)], np.zeros(1200)
    return x, (x[:, 0] > 500) + y


def write_text(path: Path, form: str) -> None:
    """Some hundred rows: ids from 0 or 1, the same in all rows or not, or CSV."""
    rng = np.random.default_rng(5)
    rows = rng.integers(-400, 400, (600, 7)) / 16
    first = int(form.endswith("1"))
    lines = ["y,a,b,c,d,e,f,g\n"] if form == "csv" else []
    for k, row in enumerate(rows.tolist()):
        if form == "csv":
            lines.append(",".join(map(repr, [k % 2, *row])) + "\n")
        else:
            kept = [j for j in range(7) if form.startswith("dense") or rng.random() < 0.5]
            lines.append(" ".join([str(k % 2), *(f"{j + first}:{row[j]!r}" for j in kept)]) + "\n")
    path.write_text("".join(lines))


@pytest.mark.parametrize("workers", [2, 3])
def test_worker_processes_get_as_many_partitions_each(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    file = tmp_path / "rows.libsvm"
    write_text(file, "sparse-1")
    # many map tasks' ranges, of which each has a report that is longer than what it says of a partition
    monkeypatch.setattr(source, "RANGE_BYTES", 1024)
    cut, dealt = local_tasks.cut_between_keys, []

    def watched(sorted_path: str, paths: list[str], **how: Any) -> None:
        cut(sorted_path, paths, **how)
        keys = [{line.partition(b"\t")[0] for line in Path(path).read_bytes().splitlines()} for path in paths]
        dealt.append([len(some - {REPORT}) for some in keys])

    monkeypatch.setattr(local_tasks, "cut_between_keys", watched)
    mr_ml("pack", file, "--to", "rows", "--partitions", 6, "--workers", workers, "-r", "local")
    assert dealt == [[6 // workers] * workers]


@pytest.mark.parametrize("form", ["sparse-0", "sparse-1", "dense-1", "csv"])
def test_bytes_do_not_depend_on_room(
    mr_ml: Commands, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows stay in memory from the scan on, or some do, or none; they go through shared memory or through the root."""
    file = tmp_path / ("rows.csv" if form == "csv" else "rows.libsvm")
    write_text(file, form)
    # many ranges, so that some find room and some do not
    monkeypatch.setattr(source, "RANGE_BYTES", 2048)
    words = ("pack", file, "--partitions", 3, *(("--label-column", "y") if form == "csv" else ()))
    found = {}
    for name, rows_bytes, spill_bytes in (
        ("all", 1 << 30, 1 << 30),
        ("some", 40_000, 1 << 30),
        ("on-disk", 1 << 30, 0),
        ("some-on-disk", 40_000, 0),
    ):
        memory = PackMemory(rows_bytes=rows_bytes, spill_bytes=spill_bytes)
        monkeypatch.setattr(exchange, "PackMemory", lambda memory=memory, **_: memory)
        for runner in (("-r", "inline"), ("-r", "local", "--workers", 2)):
            mr_ml(*words, "--to", name + runner[1], *runner)
            found[name, runner[1]] = sorted(mr_ml.partition_hashes(f"{name}{runner[1]}@1").values())
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path))
        mr_ml(*words, "--to", "no-shared-memory", "-r", "inline")
        found["no-shared-memory", "inline"] = sorted(mr_ml.partition_hashes("no-shared-memory@1").values())
    assert len({tuple(hashes) for hashes in found.values()}) == 1, found
    left = [path.name for path in scratch_folder(needs_bytes=0).iterdir()]
    assert not [name for name in left if name.startswith("spill-")]


def test_splits_are_reproducible(mr_ml: Commands, tmp_path: Path) -> None:
    x, y = repeated_rows()
    file = write_libsvm(tmp_path / "rows", x, y)
    shares = ("--split", "train=0.6,validation=0.15,test=0.25", "--seed", "7")
    shape = mr_ml("pack", file, "--to", "a", *shares)
    first = by_split(packed_rows(mr_ml, "a"))
    assert {split: len(rows) for split, rows in first.items()} == shape["splits"]
    assert sum(shape["splits"].values()) == 1200
    for split, share in (("train", 0.6), ("validation", 0.15), ("test", 0.25)):
        assert shape["splits"][split] == pytest.approx(1200 * share, rel=0.25)
        assert sum(shape["label_counts"][split].values()) == shape["splits"][split]
    assert Counter(row for rows in first.values() for row in rows) == Counter(
        map(tuple, np.column_stack([y, x]).tolist())
    )

    mr_ml("pack", file, "--to", "b", *shares, "-r", "inline")
    assert by_split(packed_rows(mr_ml, "b")) == first
    mr_ml("pack", file, "--to", "c", *shares[:2], "--seed", "8")
    assert sorted(by_split(packed_rows(mr_ml, "c"))["test"]) != sorted(first["test"])

    # a row's split depends on the row, its equals and the seed: more rows tomorrow, old or new, do not move today's
    more = write_libsvm(tmp_path / "more", np.concatenate([x[:300] + 0.25, x[:60]]), np.concatenate([y[:300], y[:60]]))
    mr_ml("pack", more, file, "--to", "d", *shares)
    later = by_split(packed_rows(mr_ml, "d"))
    assert all(Counter(rows) <= Counter(later[split]) for split, rows in first.items())


def test_folds(mr_ml: Commands, tmp_path: Path) -> None:
    x, y = repeated_rows()
    file = write_libsvm(tmp_path / "rows", x, y)
    mr_ml("pack", file, "--to", "a", "--folds", "4", "--split", "train=0.75,test=0.25")
    found = packed_rows(mr_ml, "a")
    assert {(split, fold) for split, fold, _ in found} == {(s, f) for s in ("train", "test") for f in range(4)}
    assert Counter(row for rows in found.values() for row in rows) == Counter(
        map(tuple, np.column_stack([y, x]).tolist())
    )
    sizes = [len(rows) for (split, _, _), rows in found.items() if split == "train"]
    assert min(sizes) > 100
    mr_ml("pack", file, "--to", "b", "--folds", "4", "--split", "train=0.75,test=0.25", "--partitions", "16")
    folds: dict[tuple[str, int | None], list[Row]] = defaultdict(list)
    for (split, fold, _), rows in packed_rows(mr_ml, "b").items():
        folds[split, fold] += rows
    assert {key: sorted(rows) for key, rows in folds.items()} == {
        (split, fold): sorted(rows) for (split, fold, _), rows in found.items()
    }


def test_a_table_of_few_distinct_rows_is_split_by_chance(mr_ml: Commands, tmp_path: Path) -> None:
    """Three groups with rates 1/5, 1/2 and 1/10 of `yes`, 200 rows each: every part has them, at those rates."""
    lines = ["group,label", *(f"g{k % 3},{('yes' if k // 3 < (40, 100, 20)[k % 3] else 'no')}" for k in range(600))]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(lines) + "\n")
    for seed in range(3):
        shape = mr_ml("pack", file, "--to", "few", "--split", "train=0.7,test=0.3", "--seed", seed, "-r", "inline")
        for split, share in (("train", 0.7), ("test", 0.3)):
            rows = Counter(tuple(row) for row in by_split(packed_rows(mr_ml, f"few@{shape['version']}"))[split])
            assert len(rows) == 6
            whole = Counter(
                tuple(row)
                for found in by_split(packed_rows(mr_ml, f"few@{shape['version']}")).values()
                for row in found
            )
            for row, n in whole.items():
                assert abs(rows[row] - n * share) <= 4.5 * np.sqrt(n * share * (1 - share))


def test_splits_that_are_not_alike_are_said(mr_ml: Commands, tmp_path: Path) -> None:
    """A hundred rows of each of four groups, of one label each: the splits cannot be alike."""
    file = tmp_path / "grouped"
    file.write_text("".join(f"{k % 2} qid:{k % 4} 1:{k}\n" for k in range(400)))
    words = ("pack", file, "--to", "few", "--split", "train=0.6,test=0.4")
    assert "warning" not in mr_ml.run(*words).err
    said = mr_ml.run(*words, "--split-by", "qid").err
    assert "rows of label" in said
    assert "the splits are not alike; rows of a group stay together" in said


def groups_straddle(found: dict[tuple[str, int | None, int], list[Row]], column: int) -> bool:
    where = defaultdict(set)
    for (split, fold, _), rows in found.items():
        for row in rows:
            where[row[column]].add((split, fold))
    assert len({place for places in where.values() for place in places}) > 1
    return any(len(places) > 1 for places in where.values())


@pytest.mark.parametrize("form", ["qid", "csv", "csv-text"])
def test_groups_stay_together(mr_ml: Commands, tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(9)
    group = rng.integers(1, 40, 600)
    x, y = np.column_stack([group, rng.normal(size=600)]), rng.integers(0, 2, 600)
    if form == "qid":
        file = write_libsvm(tmp_path / "rows", x, y, qid=group.tolist())
        by = "qid"
    else:
        names = group if form == "csv" else [f"user {k}" for k in group]
        file = write_csv(tmp_path / "rows.csv", {"a": x[:, 0], "b": x[:, 1], "who": names, "label": y})
        by = "who"
    shares = ("--split", "train=0.5,test=0.5", "--folds", "2")
    mr_ml("pack", file, "--to", "grouped", *shares, "--split-by", by)
    assert mr_ml("describe", "grouped")["n_features"] == 2
    assert not groups_straddle(packed_rows(mr_ml, "grouped"), column=1)
    drop = () if form == "qid" else ("--drop", "who")
    mr_ml("pack", file, "--to", "loose", *shares, *drop)
    assert groups_straddle(packed_rows(mr_ml, "loose"), column=1)


# Borrowed schemas


def test_like_of_csv(mr_ml: Commands, tmp_path: Path) -> None:
    columns = {
        "size": ["1.5", "2", "4", "3"],
        "colour": ["red", "blue", "red", "green"],
        "label": ["no", "yes", "no", "yes"],
    }
    mr_ml("pack", write_csv(tmp_path / "train.csv", columns), "--to", "train")
    shape = mr_ml("describe", "train")
    assert (shape["n_features"], shape["labels"], shape["label_kind"]) == (4, ["no", "yes"], "text")
    narrower = {key: values[:1] for key, values in columns.items()}
    other = mr_ml("pack", write_csv(tmp_path / "narrow.csv", narrower), "--to", "narrow", "--like", "train")
    assert (other["n_features"], other["labels"], other["n_rows"]) == (4, ["no", "yes"], 1)
    assert other["label_counts"]["train"] == {"no": 1, "yes": 0}
    file = write_csv(
        tmp_path / "new.csv",
        {"size": ["1", "2", "3"], "colour": ["red", "pink", "red"], "label": ["no", "no", "maybe"]},
    )
    found = mr_ml.run("pack", file, "--to", "new", "--like", "train")
    assert found.code == 65
    assert "unseen_value (1)" in found.err
    assert f"{file}:3: " in found.err
    assert "unseen_label (1)" in found.err
    assert "\nThe labels of --like are no, yes\n" in found.err
    assert f"{file}:4: " in found.err
    assert mr_ml("pack", file, "--to", "new", "--like", "train", "--max-bad-rows", "2")["n_rows"] == 1
    found = mr_ml.run(
        "pack", write_csv(tmp_path / "columns.csv", {"size": [1], "label": ["no"]}), "--to", "x", "--like", "train"
    )
    assert (found.code, "colour" in found.err) == (65, True)


def test_like_with_columns_in_another_order(mr_ml: Commands, tmp_path: Path) -> None:
    mr_ml("pack", write_csv(tmp_path / "a.csv", {"a": [1, 2], "b": [3, 4], "label": [0, 1]}), "--to", "a")
    mr_ml(
        "pack", write_csv(tmp_path / "b.csv", {"label": [0, 1], "b": [3, 4], "a": [1, 2]}), "--to", "b", "--like", "a"
    )
    assert packed_rows(mr_ml, "a") == packed_rows(mr_ml, "b")


def test_like_leaves_no_doubt(mr_ml: Commands, tmp_path: Path) -> None:
    """What is said beside --like may repeat that dataset's options but not contradict them."""
    columns = {"a": [1, 2, 3], "b": [3, 4, 5], "who": [7, 7, 8], "label": [0, 1, 0]}
    file = write_csv(tmp_path / "rows", columns)
    mr_ml("pack", file, "--format", "csv", "--to", "a", "--split-by", "who")
    for said in (["--label-column", "b"], ["--missing", "zero"], ["--format", "libsvm"], ["--split-by", "b"]):
        found = mr_ml.run("pack", file, "--to", "b", "--like", "a", *said)
        assert (found.code, "--like a was packed with" in found.err or "--split-by" in found.err) == (2, True), said
    assert mr_ml("pack", file, "--to", "b", "--like", "a", "--split-by", "who", "--format", "csv")["n_features"] == 2


def test_groups_are_asked_for_where_there_are_none(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1 1:1\n0 2:1\n")
    (tmp_path / "grouped").write_text("1 qid:3 1:1\n0 qid:4 2:1\n")
    found = mr_ml.run("pack", tmp_path / "rows", "--to", "a", "--split-by", "qid")
    assert (found.code, "qid" in found.err) == (2, True)
    mr_ml("pack", tmp_path / "rows", "--to", "a")
    assert mr_ml.run("pack", tmp_path / "grouped", "--to", "b", "--like", "a", "--split-by", "qid").code == 2


def test_like_lists_numeric_labels_never_seen(mr_ml: Commands, tmp_path: Path) -> None:
    """They may be targets of a regression; a classifier that does not know them refuses them later."""
    (tmp_path / "train").write_text("1 1:1\n-1 2:1\n")
    (tmp_path / "other").write_text("1 1:1\n0 2:1\n")
    mr_ml("pack", tmp_path / "train", "--to", "train")
    other = mr_ml("pack", tmp_path / "other", "--to", "other", "--like", "train")
    assert (other["labels"], other["label_counts"]["train"]) == ([-1, 0, 1], {"-1": 0, "0": 1, "1": 1})
    mr_ml("train", "train", "--model", "signs", "--l2", "1")
    found = mr_ml.run("evaluate", "signs", "other", "--split", "train")
    assert (found.code, "labels that the model does not know: [0.0]" in found.err) == (65, True)
    mr_ml("pack", write_csv(tmp_path / "a.csv", {"a": [1, 2], "label": [0, 1]}), "--to", "a")
    file = write_csv(tmp_path / "b.csv", {"a": [1, 2], "label": [0, 2]})
    assert mr_ml("pack", file, "--to", "b", "--like", "a")["labels"] == [0, 1, 2]
    many = write_csv(tmp_path / "c.csv", {"a": range(1, 1501), "label": range(1, 1501)})
    assert mr_ml("pack", many, "--to", "c", "--like", "a")["label_kind"] == "continuous"


def test_labels_beyond_whole_doubles_do_not_merge(mr_ml: Commands, tmp_path: Path) -> None:
    """2^60, and its neighbour that would be read as the same."""
    ids = [str(2**60), str(2**60 + 1)]
    file = tmp_path / "ids.csv"
    file.write_text("a,label\n" + "".join(f"{k},{ids[k % 2]}\n" for k in range(8)))
    shape = mr_ml("pack", file, "--to", "ids")
    assert (shape["labels"], shape["label_counts"]["train"]) == (ids, dict.fromkeys(ids, 4))
    (tmp_path / "ids").write_text("".join(f"{ids[k % 2]} 1:{k}\n" for k in range(8)))
    found = mr_ml.run("pack", tmp_path / "ids", "--to", "ids")
    assert (found.code, "inexact_label (4)" in found.err) == (65, True)
    # powers of two are what they are
    file.write_text("a,label\n" + "".join(f"{k},{2 ** (60 + k % 2)}\n" for k in range(8)))
    assert mr_ml("pack", file, "--to", "ids")["labels"] == [2.0**60, 2.0**61]


def test_like_of_libsvm(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "train").write_text("1 1:1 5:2\n0 2:1\n")
    (tmp_path / "narrow").write_text("1 1:1\n0 2:1\n")
    (tmp_path / "wide").write_text("1 1:1\n0 9:1\n")
    mr_ml("pack", tmp_path / "train", "--to", "train")
    assert mr_ml("pack", tmp_path / "narrow", "--to", "narrow")["n_features"] == 2
    assert mr_ml("pack", tmp_path / "narrow", "--to", "narrow", "--like", "train")["n_features"] == 5
    found = mr_ml.run("pack", tmp_path / "wide", "--to", "wide", "--like", "train")
    assert found.code == 65
    assert f"{tmp_path / 'wide'}:2: 0 9:1" in found.err
    assert "unseen_feature (1)" in found.err
    assert not list((mr_ml.root / "datasets").glob("wide/v*"))


# describe


def test_describe(mr_ml: Commands, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(400, 3)) * [1, 10, 100], rng.integers(0, 3, 400) - 1
    x[:, 1][rng.random(400) < 0.5] = 0
    file = write_libsvm(tmp_path / "rows", x, y)
    made = mr_ml("pack", file, "--to", "d", "--split", "train=0.5,test=0.5", "--partitions", "6", "--seed", "3")
    found = mr_ml("describe", "d")
    assert made == {**{key: found[key] for key in made if key != "warnings"}, "warnings": []}
    assert {"n_rows", "n_features", "nnz", "labels", "splits", "partitions", "blocks"} <= set(found)
    assert (found["n_rows"], found["n_features"], found["nnz"]) == (400, 3, int((x != 0).sum()))
    assert (found["labels"], found["partitions"], found["seed"]) == ([-1.0, 0.0, 1.0], 6, 3)
    assert found["blocks"] == sum(p["blocks"] for p in mr_ml.manifest("d@1")["partitions"])
    assert found["bytes"] == sum(path.stat().st_size for path in mr_ml.partition_paths("d@1"))
    splits = by_split(packed_rows(mr_ml, "d"))
    for split, rows in splits.items():
        values = np.array(rows)[:, 1:]
        features = found["features"][split]
        assert [f["min"] for f in features] == values.min(axis=0).tolist()
        assert [f["max"] for f in features] == values.max(axis=0).tolist()
        assert [f["nonzero"] for f in features] == (values != 0).sum(axis=0).tolist()
        np.testing.assert_allclose([f["mean"] for f in features], values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose([f["std"] for f in features], values.std(axis=0), rtol=1e-12)
        labels = np.array(rows)[:, 0]
        assert found["label_counts"][split] == {f"{v:g}": int((labels == v).sum()) for v in (-1, 0, 1)}
    text_form = mr_ml.run("describe", "d@1").out
    assert "400 rows x 3 features" in text_form
    assert json.loads(mr_ml.run("describe", "d", "--json").out.splitlines()[-1]) == found


def test_continuous_labels(mr_ml: Commands, tmp_path: Path) -> None:
    x = np.arange(1500.0)[:, None] + 1
    found = mr_ml("pack", write_libsvm(tmp_path / "rows", x, x[:, 0] / 7), "--to", "real")
    assert (found["labels"], found["label_kind"], found["label_counts"]) == ([], "continuous", {"train": {}})


def test_labels_that_look_alike(mr_ml: Commands, tmp_path: Path) -> None:
    """Numbers that agree in their first six digits are different labels."""
    (tmp_path / "rows").write_text("1000001 1:1\n1000002 1:2\n1000002 1:1.5\n0.1 1:4\n")
    found = mr_ml("pack", tmp_path / "rows", "--to", "d")
    assert found["label_counts"]["train"] == {"0.1": 1, "1000001": 1, "1000002": 2}
    mr_ml("train", "d", "--model", "m", "--loss", "softmax", "--l2", "1", "--class-weights", "balanced")
    assert mr_ml("models", "show", "m")["labels"] == ["0.1", "1000001", "1000002"]
    mr_ml("train", "d", "--model", "m", "--loss", "softmax", "--l2", "1", "--class-weights", "1000002=3")
    for command in (
        ("pack", tmp_path / "rows", "--to", "d"), ("describe", "d"), ("models", "show", "m"),
        ("evaluate", "m", "d", "--split", "train"),
    ):  # fmt: skip
        assert {"0.1", "1000001", "1000002"} <= set(re.split(r"[\s,:]+", mr_ml.run(*command).out)), command


def test_columns_named_by_digits(mr_ml: Commands, tmp_path: Path) -> None:
    """A name comes before a position, which may count from the end."""
    file = write_csv(tmp_path / "rows.csv", {"2019": [5, 6], "2020": [1, 0], "7": [3, 4]})
    words = ("pack", file, "--to", "a", "--header")
    assert mr_ml(*words, "--label-column", "2020")["labels"] == [0, 1]
    assert mr_ml(*words, "--label-column", "7")["labels"] == [3, 4]
    assert mr_ml(*words, "--label-column", "0")["labels"] == [5, 6]
    assert mr_ml(*words, "--label-column", "-1", "--drop", "2019")["n_features"] == 1


def test_versions_stay(mr_ml: Commands, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_text("1 1:1\n0 1:2\n")
    assert mr_ml("pack", file, "--to", "d")["version"] == 1
    file.write_text("1 1:1\n0 1:2\n0 1:3\n")
    assert mr_ml("pack", file, "--to", "d")["version"] == 2
    assert [mr_ml("describe", name)["n_rows"] for name in ("d", "d@2", "d@1")] == [3, 3, 2]
    assert mr_ml("train", "d@1", "--model", "m", "--l2", "1")["model"] == "m"
    assert mr_ml("models", "show", "m")["n_rows"] == 2
