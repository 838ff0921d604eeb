"""What is asked of a pack."""

from __future__ import annotations

from collections.abc import Mapping

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.text.source import TextFile


@dataclass(frozen=True)
class PackSpec:
    """A pack as the user wants it.

    Attributes
    ----------
    shares
        Split name -> share; empty if the split of a row is that of its file.
    split_of_input
        Of each of `inputs` in that case.
    request
        By which the version that this makes is found again; None if nobody will look for it.
    like
        Schema of an existing dataset to use instead of what this text suggests.
    format_is_given, header_is_given
        Whether the user gave the format, or said that first lines are headers whatever they look like.
    """

    inputs: tuple[str, ...]
    name: str
    options: Options
    shares: Mapping[str, float]
    split_of_input: tuple[str, ...] = ()
    folds: int = 1
    seed: int = 0
    by_group: bool = False
    partitions: int | None = None
    max_bad_rows: int = 0
    like: Schema | None = None
    format_is_given: bool = True
    header_is_given: bool = False
    request: str | None = None

    def split_of(self, file: TextFile) -> str:
        """Return the split of a file that one of the inputs names."""
        return self.split_of_input[file.input]

    def inputs_of_splits(self) -> dict[str, list[str]]:
        """Return the inputs of each split, where the split of a row is that of its file."""
        inputs: dict[str, list[str]] = {}
        for given, split in zip(self.inputs, self.split_of_input, strict=True):
            inputs.setdefault(split, []).append(given)
        return inputs
