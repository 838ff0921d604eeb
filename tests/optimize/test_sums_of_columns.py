"""Which columns are sums of others, beside numpy's rank, and how near to a sum a column may come that is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mr_ml.optimize.columns import Columns
from mr_ml.optimize.newton import Newton

EXACT = 1e-9


def columns_of(x: Any, *, factor: bool = False, bends: Any = None, n_outputs: int = 1) -> Columns:
    """Return what a pass over rows says of their columns, none of which is centred."""
    n = len(x)
    u = np.ones((n, n_outputs)) if bends is None else np.asarray(bends, float).reshape(n, -1)
    hessian = np.zeros((n_outputs * x.shape[1],) * 2)
    for k in range(n_outputs):
        at = slice(k * x.shape[1], (k + 1) * x.shape[1])
        hessian[at, at] = (x * u[:, k, None]).T @ x / n
    none = np.zeros(x.shape[1])
    rows = np.asarray(np.linalg.qr(x * np.sqrt(u[:, :1] / n), mode="r")) if factor else None
    return Columns(
        hessian=hessian + np.eye(len(hessian)), loss_diagonal=np.diag(hessian).copy(), means=none, shifts=none,
        rows=rows, bend=float(u.mean(axis=0).sum()), shows_all=True,
    )  # fmt: skip


def some_columns(seed: int, n: int, d: int, n_sums: int) -> Any:
    """Columns of which some are sums of some others, in any order and of any size."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) + random.normal(size=d)
    free, sums = d - n_sums, random.normal(size=(d - n_sums, n_sums)) * (random.random((d - n_sums, n_sums)) < 0.5)
    x[:, free:] = x[:, :free] @ sums
    return x[:, random.permutation(d)] * 10.0 ** random.uniform(-4, 4, d)


@pytest.mark.parametrize("factor", [False, True])
@pytest.mark.parametrize(("n", "d", "n_sums"), [(30, 4, 1), (200, 40, 0), (200, 70, 5), (90, 40, 19), (20, 30, 9)])
def test_there_are_as_many_as_the_rank_lacks(factor: bool, n: int, d: int, n_sums: int) -> None:
    """More than fit one panel too, and more columns than rows."""
    for seed in range(3):
        x = some_columns(seed, n, d, n_sums)
        flat = columns_of(x, factor=factor).flat()
        lengths = np.linalg.norm(x, axis=0)
        some = lengths > 0
        assert len(flat) == some.sum() - np.linalg.matrix_rank(x[:, some] / lengths[some])
        sizes = np.abs(flat) @ np.linalg.norm(x, axis=0)
        assert (np.linalg.norm(x @ flat.T, axis=0) <= EXACT * sizes).all()
        # old numpy knows no rank of nothing
        assert not len(flat) or np.linalg.matrix_rank(flat * np.linalg.norm(x, axis=0)) == len(flat)


@pytest.mark.parametrize(("factor", "seen", "unseen"), [(False, 1e-5, 1e-9), (True, 1e-11, 1e-16)])
def test_what_is_only_near_to_a_sum_is_none(factor: bool, seen: float, unseen: float) -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(300, 6))
    for off, n_sums in ((seen, 0), (unseen, 1), (0.0, 1)):
        x[:, 5] = x[:, 0] - 2 * x[:, 1] + off * random.normal(size=300)
        assert len(columns_of(x, factor=factor).flat()) == n_sums, off


@pytest.mark.parametrize("factor", [False, True])
def test_values_that_were_rounded_far_from_zero_are_no_news(factor: bool) -> None:
    """A sum of numbers near 1e9 is off by their last digits, which is more than the spread's."""
    random = np.random.default_rng(6)
    far = 1e9 + random.normal(size=(400, 2))
    read = np.column_stack([far, far[:, 0] + far[:, 1]])
    centred = read - read.mean(axis=0)
    made = columns_of(centred, factor=factor)
    # as far as is known, they were read as they are
    shifted = replace(made, shifts=read.mean(axis=0))
    assert len(shifted.flat()) == 1
    assert len(made.flat()) == 0


def test_a_column_of_nothing_is_no_sum() -> None:
    x = np.random.default_rng(7).normal(size=(50, 4))
    x[:, 1] = 0
    assert len(columns_of(x).flat()) == len(columns_of(x, factor=True).flat()) == 0


def test_what_one_pass_hides_another_one_shows() -> None:
    """Rows without curvature may be all that tells two columns apart."""
    x = np.random.default_rng(8).normal(size=(60, 3))
    x[:, 2] = x[:, 1]
    x[:5, 2] += 1
    bends = np.ones(60)
    bends[:5] = 0
    hidden, seen = columns_of(x, bends=bends), columns_of(x)
    flat = hidden.after(None)
    assert flat is not None
    assert len(flat) == 1
    assert hidden.after(flat) is not None
    assert len(hidden.after(flat)) == 1  # type: ignore[arg-type]
    after = seen.after(flat)
    assert after is not None
    assert len(after) == 0
    # and what has been seen stays so
    assert len(hidden.after(after)) == 0  # type: ignore[arg-type]
    blind = replace(hidden, shows_all=False)
    assert blind.after(None) is None


def test_outputs_have_their_columns_in_common() -> None:
    random = np.random.default_rng(9)
    x = random.normal(size=(80, 4))
    x[:, 3] = x[:, 0] + x[:, 2]
    flat = columns_of(x, bends=random.random((80, 3)), n_outputs=3).flat()
    assert np.allclose(flat, [[-1, 0, -1, 1]], atol=1e-9)


def test_a_factor_tells_what_sums_cannot() -> None:
    """Once the pass is there that has one."""
    t = np.linspace(-1, 1, 60)
    x = np.column_stack([t, t + 1e-9 * np.sin(30 * t)])
    flat = columns_of(x).after(None)
    assert flat is not None
    assert len(flat) == 1
    assert len(columns_of(x, factor=True).after(flat)) == 0  # type: ignore[arg-type]


def test_sums_that_are_no_numbers_say_nothing() -> None:
    x = np.random.default_rng(1).normal(size=(20, 2))
    made = columns_of(x)
    bad = replace(made, hessian=np.full((2, 2), np.nan))
    assert len(bad.flat()) == 0
    flat = np.array([[1.0, -1.0]])
    assert bad.after(flat) is flat


def test_what_is_known_is_stored_with_the_state() -> None:
    method, flat = Newton(), np.array([[1.0, -1.0, 0.5]])
    state = replace(method.init(np.zeros(6)), flat=flat)
    meta, arrays = method.encode(state)
    found = method.decode(meta, arrays, size=6)
    assert found.flat is not None
    assert found.flat.tobytes() == flat.tobytes()
    # as states of earlier releases are
    del arrays["flat"]
    assert method.decode(meta, arrays, size=6).flat is None
    for wrong in (
        flat[0],
        np.zeros((1, 4)),
        np.zeros((4, 3)),
        np.zeros((0, 0)),
        flat * np.nan,
        flat.astype(np.float32),
    ):
        with pytest.raises(ValueError, match="flat"):
            method.decode(meta, {**arrays, "flat": wrong}, size=6)
