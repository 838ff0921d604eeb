"""What `train` does with files of rows before it trains: what `pack` does, on the same session."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mr_ml import interrupts
from mr_ml.cli.common import print_result
from mr_ml.cli.describe import summary_text
from mr_ml.cli.pack import choices
from mr_ml.cli.pack_options import ALL_TRAIN
from mr_ml.errors import UsageError
from mr_ml.models.base import UNNAMED_KIND
from mr_ml.training.asked import check_before_rows

if TYPE_CHECKING:
    from mr_ml.catalog.dataset import Dataset
    from mr_ml.session import Session

# Of files of which shares are told this one is trained on.
TRAIN = "train"


def pack_first(
    options: argparse.Namespace, session: Session, files: Sequence[str], model_options: Mapping[str, Any]
) -> tuple[Dataset, str]:  # fmt: skip
    """Pack files and print what came of it; returns the dataset and the split of it to train on.

    What can be known to be wrong with the training is found before that.

    Parameters
    ----------
    model_options
        What is chosen of the model.
    """
    name = options.model if options.to is None else options.to
    shares, split = (options.split, TRAIN) if "=" in options.split else (ALL_TRAIN, options.split)
    chosen = choices(options, shares)
    found = chosen.split_inputs or chosen.split
    if split not in found:
        raise UsageError(f"`split`: expected rows to train on, the split {split}, found the splits {', '.join(found)}")
    check_before_rows(
        session.root, UNNAMED_KIND, name, options.model, split, model_options, inference=options.inference
    )
    # once it is published it is no longer too late to stop
    with interrupts.stage():
        dataset = session.pack(files, name, chosen)
        if not options.json:
            print_result(options, {}, summary_text(dataset))
    return dataset, split
