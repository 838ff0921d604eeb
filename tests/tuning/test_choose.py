"""Candidates, the choice among them, and the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mr_ml.catalog.tuning import Tried, Tuned
from mr_ml.errors import NoModelError, UsageError
from mr_ml.tuning import report
from mr_ml.tuning.candidates import Span, drawn, grid, numbers
from mr_ml.tuning.choose import chosen, mean_and_error


def tried(*by_fold: float | None, l2: float = 0.0, dropped: int | None = None) -> Tried:
    mean, error = mean_and_error(by_fold)
    return Tried(
        options={"l2": l2}, mean=mean, standard_error=error, by_fold=by_fold, passes=3, dropped=dropped,
        converged=mean is not None, stops=(),
    )  # fmt: skip


def test_the_standard_error_is_that_of_the_mean() -> None:
    # mean 2, squares of deviations 1, 0, 1: s = 1, over the root of 3
    mean, error = mean_and_error((1.0, 2.0, 3.0))
    assert (mean, error) == (2.0, 3**-0.5)
    assert mean_and_error((5.0,)) == (5.0, None)
    assert mean_and_error((5.0, None)) == (None, None)


@pytest.mark.parametrize(("higher", "sign"), [(False, 1), (True, -1)])
def test_one_se_takes_the_most_penalised_within_a_standard_error_of_the_best(higher: bool, sign: int) -> None:
    # the best has mean 2 and standard error 0.5774: 2.5 is within, 2.6 is not, and its own error does not matter
    few = [
        tried(sign * 1.0, sign * 2.0, sign * 3.0, l2=1e-4),
        tried(sign * 2.5, sign * 2.5, sign * 2.5, l2=1e-2),
        tried(sign * 2.6, sign * 0.6, sign * 4.6, l2=1e-1),
        tried(sign * 2.1, sign * 2.1, sign * 2.1, l2=1e-3),
        tried(sign * 1.5, sign * 1.5, sign * 1.5, l2=1.0, dropped=0),
    ]

    def strictness(k: int) -> tuple[float, ...]:
        return (few[k].options["l2"],)

    assert chosen(few, higher=higher, rule="best", strictness=strictness) == 0
    assert chosen(few, higher=higher, rule="one-se", strictness=strictness) == 1


def test_without_a_candidate_that_predicts_there_is_no_model() -> None:
    with pytest.raises(NoModelError, match="no candidate has finite predictions"):
        chosen([tried(None, 1.0)], higher=False, rule="best", strictness=lambda k: ())


def test_spans_are_even_in_their_logarithms() -> None:
    span = numbers("l2", "1e-6:1e-1:6")
    assert isinstance(span, Span)
    np.testing.assert_allclose(span.grid("l2"), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1], rtol=1e-5)
    assert Span(1e-3, 10.0, 1).grid("l2") == (1e-3,)
    assert numbers("l2", "1e-3, 0") == numbers("l2", [1e-3, 0]) == (1e-3, 0.0)
    assert numbers("l2", 2) == (2.0,)


def test_a_grid_has_every_combination_once() -> None:
    found = grid({"loss": ("logistic",), "class_weights": (None, "balanced"), "l2": (1.0, 2.0, 1.0)})
    assert [tuple(one.values()) for one in found] == [
        ("logistic", None, 1.0), ("logistic", None, 2.0), ("logistic", "balanced", 1.0), ("logistic", "balanced", 2.0),
    ]  # fmt: skip


def test_draws_follow_from_the_seed_and_are_even_in_their_logarithms() -> None:
    choices: dict[str, Any] = {"class_weights": (None, "balanced"), "l2": Span(1e-6, 1e-2)}
    one, same, other = (drawn(choices, n=400, seed=seed) for seed in (3, 3, 4))
    assert one == same != other
    values = np.log10([c["l2"] for c in one])
    assert values.min() >= -6
    assert values.max() <= -2
    assert np.abs(np.histogram(values, bins=4)[0] - 100).max() < 40
    assert 150 < sum(c["class_weights"] is None for c in one) < 250
    # there are no more
    assert len(drawn({"l2": (1.0, 2.0)}, n=9, seed=0)) == 2


@pytest.mark.parametrize(
    "given", ["", "a", "-1", "nan", "1:2:3:4", "0:1:3", "2:1:3", "1:2:x", "1:inf:3", [[]], "1:2:0"]
)
def test_what_is_no_number_or_span_is_said(given: Any) -> None:
    with pytest.raises(UsageError, match="`l2`: expected"):
        numbers("l2", given)


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"l2": ()}, "`l2`: expected something to try"),
        ({"l2": Span(1.0, 2.0)}, "expected LOW:HIGH:NUMBER"),
        ({"a": tuple(range(200)), "b": tuple(range(200))}, "at most 10000 candidates"),
    ],
)
def test_a_grid_that_cannot_be_is_said(choices: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        grid(choices)


def test_the_plot_has_a_star_at_the_mean_and_a_standard_error_to_either_side() -> None:
    few = (tried(0.0, 2.0, l2=0.1), tried(4.0, 4.0, l2=0.2), tried(None, None, l2=0.3), tried(2.0, 2.0, dropped=1))
    tuned = Tuned(run="r", metric="log_loss", higher=False, rule="best", chosen=0, passes=9, tried=few)
    lines = report.lines(tuned)
    # from 0 to 4: the mean 1 is a quarter of the way, and its error is 1
    assert lines[0] == ["l2 0.1", "1", "1", "3", "-" * 10 + "*" + "-" * 10 + "." * 19, "<- chosen"]
    assert lines[1][4].index("*") == 39
    assert lines[2][1:5] == ["-", "-", "3", " " * 40]
    assert lines[2][5] == "some did not converge"
    assert lines[3][5] == "dropped at cut 2"
