"""Equal rows: each on a way of its own, the same on every runner, whatever the order of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_rows
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mr_ml.data.block import decode_line
from mr_ml.packing import chance
from mr_ml.packing.cluster_tasks import Inspection, ShuffledReduceTask, SpreadReduceTask, sent
from mr_ml.packing.equal_rows import MergeTask, merging_lines, spread_line
from mr_ml.packing.miniblock import split_rows
from mr_ml.packing.plan import PackPlan, make_plan
from mr_ml.packing.spill import SpillFile
from mr_ml.packing.split_moments import MOMENTS
from mr_ml.packing.tasks import AGAIN, PackRequest, ReduceTask, facts_of
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.rows import empty_rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions
from mr_ml.runners.reduce_keys import number_of

SCHEMA = Schema(format="libsvm", part=LibsvmPart(TextOptions()), n_features=6, labels=(0.0, 1.0))
numbers = st.sampled_from([0.0, 1.0, -2.5])
contents = st.tuples(
    st.sampled_from([0.0, 1.0]), st.dictionaries(st.integers(0, 5), numbers, max_size=6), st.none(), st.none()
)
few_kinds = st.lists(contents, min_size=1, max_size=3).flatmap(lambda kinds: st.lists(st.sampled_from(kinds)))


def plan_of(shares: dict[str, float], *, partitions: int = 5, block_rows: int = 4, **options: Any) -> PackPlan:
    plan = make_plan(n_rows=100, nnz=300, n_features=6, shares=shares, partitions=partitions, seed=3, **options)
    return PackPlan(**{**vars(plan), "block_rows": block_rows})


def dealt(chunks: Sequence[Any], plan: PackPlan, splits: Sequence[str] | None) -> list[tuple[int, bytes]]:
    """What map tasks send of the chunks, each of which is of a file of one of the splits, if these go by file."""
    request = PackRequest(SCHEMA, plan, splits={} if splits is None else {f"/{k}": s for k, s in enumerate(splits)})
    return [pair for k, chunk in enumerate(chunks) for pair in split_rows(chunk, request.plan_of(f"hdfs://host/{k}"))]


def on_this_machine(
    folder: Path, chunks: Sequence[Any], plan: PackPlan, *, n: int, splits: Sequence[str] | None = None
) -> dict[int, bytes]:
    """Partition files, by what the tasks of one machine do."""
    paths = tuple(str(folder / f"{p}") for p in range(plan.n_partitions))
    request = PackRequest(SCHEMA, plan, paths, str(folder))
    pointers: dict[int, list[bytes]] = {}
    with SpillFile(str(folder)) as spill:
        for partition, miniblock in dealt(chunks, plan, splits):
            pointers.setdefault(partition, []).append(spill.append(miniblock))
    pairs: list[tuple[bytes, bytes]] = []
    for task_number in range(n):
        task = ReduceTask(request)
        for partition in sorted(pointers)[task_number::n]:
            pairs += task.add(b"%08d" % partition, pointers[partition])
        pairs += task.results()
    met = [value for key, value in pairs if key == AGAIN]
    facts = {int(key): facts_of(value) for key, value in pairs if key not in (AGAIN, MOMENTS)}
    if met:
        pairs = []
        for line in merging_lines(facts, met, n_tasks=n):
            merge = MergeTask(request)
            pairs += [*merge.add(line), *merge.results()]
        facts = {int(key): facts_of(value) for key, value in pairs if key != MOMENTS}
    files = {int(path.name): path.read_bytes() for path in map(Path, paths) if path.exists()}
    assert {p: (len(data), data.count(b"\n")) for p, data in files.items()} == {
        p: (found.n_bytes, found.blocks) for p, found in facts.items()
    }
    return files


def reduced(task: Any, sent_pairs: Iterable[tuple[bytes, bytes]]) -> dict[int, bytes]:
    """The output files of reduce tasks."""
    groups: dict[bytes, list[bytes]] = {}
    for key, value in sent_pairs:
        groups.setdefault(key, []).append(value)
    return {
        number_of(key): b"".join(k + b"\t" + v + b"\n" for k, v in task.add(key, values))
        for key, values in groups.items()
    }


def on_a_cluster(chunks: Sequence[Any], plan: PackPlan, *, splits: Sequence[str] | None = None) -> dict[int, bytes]:
    """The same by what the tasks of a cluster do."""
    request, n = PackRequest(SCHEMA, plan), plan.n_partitions
    mapped = [sent(p, data, n_reducers=n + 1) for p, data in dealt(chunks, plan, splits)]
    files = reduced(ShuffledReduceTask(request), mapped)
    answers = []
    for data in files.values():
        look = Inspection(request)
        for line in data.splitlines():
            look.add(line)
        answers += list(look.results())
    if any(key == AGAIN for key, _ in answers):
        lines = [line for data in files.values() for line in data.splitlines()]
        files = reduced(SpreadReduceTask(request), (sent(*spread_line(x, plan), n_reducers=n) for x in lines))
    return files


def rows_in(files: dict[int, bytes]) -> list[tuple[int, float, tuple[float, ...]]]:
    """Partition, label and features of each row."""
    found = []
    for partition, data in files.items():
        for line in data.splitlines():
            block = decode_line(line, where="here").block
            x = block.features.toarray(n_features=6).tolist()
            found += [(partition, y, tuple(row)) for y, row in zip(block.labels.tolist(), x, strict=True)]
    return found


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=few_kinds, data=st.data(), n=st.integers(1, 3))
def test_the_same_files_everywhere(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, data: st.DataObject, n: int
) -> None:
    plan = plan_of({"a": 0.6, "b": 0.4}, folds=2)
    alone = on_a_cluster([make_rows(rows)], plan) if rows else {}
    shuffled = data.draw(st.permutations(rows))
    at = data.draw(st.integers(0, len(rows)))
    chunks = [make_rows(part) for part in (shuffled[:at], shuffled[at:]) if part]
    assert on_a_cluster(chunks, plan) == alone
    assert on_this_machine(tmp_path_factory.mktemp("spill"), chunks, plan, n=n) == alone
    expected = [(y, tuple(x.get(k, 0.0) for k in range(6))) for y, x, _, _ in rows]
    assert Counter((y, x) for _, y, x in rows_in(alone)) == Counter(expected)


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(by_file=st.lists(st.tuples(st.sampled_from("ab"), few_kinds), min_size=1, max_size=4), data=st.data())
@pytest.mark.parametrize("by_group", [False, True])
def test_rows_stay_in_the_split_of_their_file(
    tmp_path_factory: pytest.TempPathFactory, by_group: bool, by_file: Any, data: st.DataObject
) -> None:
    """Equal rows too, of which there are some in both splits; the order of files and of rows does not matter."""
    plan = plan_of({"a": 0.6, "b": 0.4}, folds=2, by_file=True, by_group=by_group)

    def chunks_of(files: Any) -> list[Any]:
        made = [make_rows(rows) for _, rows in files]
        groups = [np.array([hash(y) for y in rows.labels], np.uint64) for rows in made]
        return [type(rows)(**{**vars(rows), "groups": of}) for rows, of in zip(made, groups, strict=True)]

    files = [(split, rows) for split, rows in by_file if rows]
    splits = [split for split, _ in files]
    alone = on_a_cluster(chunks_of(files), plan, splits=splits)
    mixed = [(split, data.draw(st.permutations(rows))) for split, rows in data.draw(st.permutations(files))]
    again = [split for split, _ in mixed]
    assert on_a_cluster(chunks_of(mixed), plan, splits=again) == alone
    assert on_this_machine(tmp_path_factory.mktemp("spill"), chunks_of(mixed), plan, n=2, splits=again) == alone
    split_of = {number: split for split, numbers in plan.partitions_by_split().items() for number in numbers}
    found = Counter((split_of[p], y, x) for p, y, x in rows_in(alone))
    assert found == Counter(
        (split, y, tuple(x.get(k, 0.0) for k in range(6))) for split, rows in files for y, x, _, _ in rows
    )


def test_equal_rows_go_where_chance_sends_them() -> None:
    """4,000 rows of two kinds: splits, folds, partitions and the places of the two within them are as of any rows."""
    n = 2000
    rows = make_rows([(float(k % 2), {0: float(k % 2), 1: 1.0}, None, None) for k in range(2 * n)])
    plan = plan_of({"a": 0.75, "b": 0.25}, folds=2, partitions=16)
    found = np.array([(p, y) for p, y, _ in rows_in(on_a_cluster([rows], plan))]).astype(int)
    for label in (0, 1):
        counts = np.bincount(found[found[:, 1] == label, 0], minlength=16)
        # 12 partitions of share 0.75 / 12, 4 of 0.25 / 4: all the same
        assert counts.sum() == n
        assert abs(counts - n / 16).max() < 5 * np.sqrt(n / 16)
    changes = np.count_nonzero(np.diff(found[:, 1]))
    assert abs(changes - n) < 5 * np.sqrt(n)


def test_equal_rows_of_a_group_stay_in_its_split_and_fold() -> None:
    rows = make_rows([(0.0, {0: 1.0}, None, None)] * 600)
    groups = np.repeat(np.array([11, 2**63 + 5, 17], np.uint64), 200)
    rows = type(rows)(**{**vars(rows), "groups": groups})
    plan = plan_of({"a": 0.5, "b": 0.5}, folds=2, partitions=16, by_group=True)
    partition, _ = plan.assign(np.arange(3, dtype=np.uint64), np.array([11, 2**63 + 5, 17], np.uint64))
    counts = np.bincount([p for p, _, _ in rows_in(on_a_cluster([rows], plan))], minlength=16)
    expected = np.bincount(partition // 4, minlength=4) * 200
    assert counts.reshape(4, 4).sum(axis=1).tolist() == expected.tolist()
    assert (counts.reshape(4, 4)[expected > 0] > 20).all()


def test_no_rows_are_no_files() -> None:
    assert on_a_cluster([empty_rows()], plan_of({"a": 1.0})) == {}


@pytest.mark.parametrize(
    ("rows", "labels", "by_group", "expected"),
    [
        # two standard deviations are 25
        ({"a": 820, "b": 180}, {"a": {"0": 700, "1": 120}, "b": {"0": 160, "1": 20}}, False, []),
        ({"a": 700, "b": 300}, {}, False, ["a has 700 of 1000 rows, expected about 800", "`seed`"]),
        ({"a": 700, "b": 300}, {}, True, ["b has 300 of 1000 rows, expected about 200", "group column"]),
        (
            {"a": 800, "b": 200}, {"a": {"0": 500, "1": 300}, "b": {"0": 0, "1": 200}}, False,
            ["b has 0 of 500 rows of label 0, expected about 100", "b has 200 of 500 rows of label 1"],
        ),
        # the only row of a label is somewhere
        ({"a": 800, "b": 200}, {"a": {"0": 800}, "b": {"0": 199, "1": 1}}, False, []),
    ],
)  # fmt: skip
def test_what_chance_does_not_do_is_said(rows: Any, labels: Any, by_group: bool, expected: list[str]) -> None:
    plan = plan_of({"a": 0.8, "b": 0.2}, by_group=by_group)
    said = "\n".join(chance.warnings(plan, rows, labels))
    assert bool(said) == bool(expected)
    assert all(text in said for text in expected), said


def test_a_rare_label_in_a_small_split_is_chance() -> None:
    plan = plan_of({"a": 0.999, "b": 0.001})
    assert not list(chance.warnings(plan, {"a": 9990, "b": 10}, {"a": {"0": 9990}, "b": {"0": 9, "1": 1}}))
    assert not list(chance.warnings(plan_of({"a": 1.0}), {"a": 5}, {"a": {"0": 5}}))
