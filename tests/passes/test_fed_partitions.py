"""What tasks that are fed lines cannot say of their files, the driver does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import make_block, write_partition
from world import RemoteStore

from hdfs_layout import LocalStore, Store
from mr_ml.catalog.dataset import Partition
from mr_ml.data.block import Block
from mr_ml.errors import BadDataError, InternalError, MrMlError
from mr_ml.passes.cache import BlockCache
from mr_ml.passes.mapreduce import PartitionInput

NUMBERS = 3, 12


def input_of(store: Store, folder: Path) -> PartitionInput:
    """Of two partitions."""
    made = []
    for number in NUMBERS:
        block = make_block(np.ones((4, 2)), np.ones(4))
        facts = write_partition(folder / f"part-{number:05d}", [block], partition=number)
        made.append(Partition(f"part-{number:05d}", "train", None, facts))
    return PartitionInput(tuple(made), store)


def same(block: Block) -> Block:
    return block


@pytest.mark.parametrize("number", NUMBERS)
def test_a_damaged_line_is_said_to_be_of_its_file(tmp_path: Path, number: int) -> None:
    store = LocalStore(str(tmp_path))
    given, path = input_of(store, tmp_path), f"part-{number:05d}"
    line = store.read(path)
    with pytest.raises(BadDataError) as raised, given.checked(are_fed=True):
        BlockCache().block(line[:-30] + b"~" + line[-29:], dataset="d", budget=0, prepare=same)
    assert str(raised.value).startswith(f"{store.uri(path)}: partition {number}, block 0: ")
    assert str(raised.value).endswith("pack the dataset again")


@pytest.mark.parametrize("error", [BadDataError("rows: partition 3 of them"), BadDataError("x"), InternalError("lost")])
def test_other_errors_stay_as_they_are(tmp_path: Path, error: MrMlError) -> None:
    given = input_of(LocalStore(str(tmp_path)), tmp_path)
    with pytest.raises(MrMlError) as raised, given.checked(are_fed=True):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("content", [None, b"short"])
@pytest.mark.parametrize(
    ("kind", "are_fed", "begins"), [(LocalStore, True, False), (RemoteStore, False, False), (LocalStore, False, True)]
)
def test_files_are_looked_at_before_a_pass_unless_its_tasks_do(
    tmp_path: Path, kind: type[LocalStore], are_fed: bool, begins: bool, content: bytes | None
) -> None:
    """And when a task was lost, for whatever reason."""
    store = kind(str(tmp_path))
    given, begun = input_of(store, tmp_path), list[str]()
    if content is None:
        store.remove("part-00012")
    else:
        store.write("part-00012", content)

    def lose_task() -> None:
        begun.append("a pass")
        raise InternalError("a task was lost")

    says = f"partition 12 .*{store.uri('part-00012')}"
    with pytest.raises(BadDataError, match=says), given.checked(are_fed=are_fed):
        lose_task()
    assert begun == ["a pass"] * begins
