"""Files of different splits that tasks could not tell apart are refused, for rows would be in the wrong split."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hdfs_layout.open import path_of
from mr_ml.errors import UsageError
from mr_ml.packing.choices import PackChoices, pack_spec
from mr_ml.packing.driver import splits_known_as
from mr_ml.readers.text.source import TextFile

# as on a cluster
TEXT: Any = SimpleNamespace(known_as=lambda file, form: path_of(file.path))


def test_the_same_path_on_two_clusters() -> None:
    names = ["hdfs://one/day/x", "hdfs://two/day/x", "hdfs://two/day/y"]
    files = [TextFile(name, 1, input=k) for k, name in enumerate(names)]

    def found(first: str, second: str, third: str) -> dict[str, str]:
        splits: dict[str, tuple[str, ...]] = {}
        for split, name in zip((first, second, third), names, strict=True):
            splits[split] = (*splits.get(split, ()), name)
        return splits_known_as(
            pack_spec([], "days", PackChoices(split_inputs=splits, format="libsvm"), None), TEXT, files
        )

    assert found("train", "train", "test") == {"/day/x": "train", "/day/y": "test"}
    with pytest.raises(UsageError, match=r"`split_inputs`: found /day/x in two stores, .* train and test; copy"):
        found("train", "test", "test")
