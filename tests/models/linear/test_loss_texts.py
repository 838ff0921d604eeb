"""Losses as users write them, and what becomes of labels that a loss does not take: through the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from commands import Commands, write_libsvm

import mr_ml
from mr_ml.errors import UsageError
from mr_ml.models.linear.labels import POSITIVE, LabelDomain
from mr_ml.models.linear.losses import LOSSES
from mr_ml.models.linear.losses.squared import SquaredLoss


@dataclass(frozen=True)
class PowerLoss(SquaredLoss):
    """As an installed package may bring one."""

    name: ClassVar[str] = "power"
    label_domain: ClassVar[LabelDomain] = POSITIVE
    follows_labels: ClassVar[bool] = False

    exponent: float
    way: str = "up"


@pytest.fixture(autouse=True)
def power() -> Iterator[None]:
    LOSSES.register("power", PowerLoss)
    yield
    LOSSES.unregister("power")


@pytest.fixture
def place(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "root", runner=("-r", "inline"))


def packed(place: Commands, name: str, y: Any) -> Any:
    """Two features of rows with these labels; returns the text."""
    x = np.random.default_rng(0).normal(size=(len(y), 2))
    text = write_libsvm(place.root.parent / name, x, np.asarray(y, float))
    place("pack", text, "--to", name)
    return text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("power:exponent=1,way", "expected NAME or NAME:PARAMETER=VALUE,... with each parameter once, found 'power:"),
        ("power:exponent=1,exponent=2", "with each parameter once"),
        ("power:", "expected NAME or NAME:PARAMETER=VALUE"),
        ("power", "the power loss needs exponent, as in power:exponent=1"),
        ("power:exponent=1,speed=2", "the power loss has exponent and way, found 'speed'"),
        ("power:exponent=fast", "the power loss: `exponent`: expected a number, found 'fast'"),
        ("power:exponent=nan", "the power loss: `exponent`: expected a finite number, found nan"),
        ("logistic:power=1", "the logistic loss has no parameters, found 'power'"),
        ("pwer:exponent=1", "loss 'pwer' is not known (did you mean 'power'?); choose one of logistic, softmax"),
    ],
)
def test_wrong_parameters_are_told_before_anything_is_read(place: Commands, text: str, said: str) -> None:
    packed(place, "rows", [1.0, 2.0, 3.0, 4.0])
    found = place.run("train", "rows", "--model", "m", "--loss", text)
    assert found.code == 2
    assert said in found.err
    assert "Traceback" not in found.err
    with pytest.raises(UsageError):
        mr_ml.train(place.root, "rows", "m", loss=text)


def test_a_loss_with_parameters_is_stored_as_it_was_written(place: Commands) -> None:
    text = packed(place, "rows", np.arange(1, 41) / 8)
    place("train", "rows", "--model", "m", "--loss", "power:exponent=2.5, way=down")
    model = mr_ml.load_model(place.root, "m")
    assert model.manifest["spec"]["loss"] == "power:exponent=2.5, way=down"
    assert vars(model)["loss"] == PowerLoss(exponent=2.5, way="down")
    place("predict", "m", text, "--to", str(place.root.parent / "predicted"))
    assert len(np.loadtxt(place.root.parent / "predicted")) == 40


@pytest.mark.parametrize("label", [0.0, -2.5])
def test_labels_that_a_loss_does_not_take_are_refused(place: Commands, label: float) -> None:
    """Before the first pass where the dataset lists its labels, else in the pass; by evaluate too."""
    good = np.resize([1.0, 2.0, 3.0], 1200)
    wrong = good.copy()
    wrong[[7, 20]] = label
    packed(place, "good", good)
    packed(place, "listed", wrong)
    # more than are listed
    packed(place, "continuous", np.where(wrong > 0, np.arange(1, 1201) / 64, wrong))
    loss = ("--loss", "power:exponent=1")
    place("train", "good", "--model", "m", *loss)
    listed = place.run("train", "listed", "--model", "other", *loss)
    assert listed.code == 65
    assert f"needs labels > 0, 2 rows of split 'train' of listed@1 have others: ['{label:g}']" in listed.err
    for command in (
        ("train", "continuous", "--model", "other", *loss),
        ("evaluate", "m", "continuous", "--split", "train"),
    ):
        found = place.run(*command)
        assert found.code == 65, found.err
        # rows 7 and 20 of the text, wherever their hash has put them
        assert re.search(
            r"partition \d+, block \d+: expected labels > 0, found [12] others among the block's \d+ rows, the first "
            rf"of them {label:g} in row \d+",
            found.err,
        )
        assert "Traceback" not in found.err
