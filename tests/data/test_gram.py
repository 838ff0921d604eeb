"""X' diag(d) X of dense rows, held against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mr_ml.data.features import DenseFeatures


@pytest.mark.parametrize("lowest", [0.0, -1.0])
@pytest.mark.parametrize(("n", "width", "n_features"), [(1, 1, 1), (7, 3, 5), (40, 6, 6), (0, 2, 3)])
def test_the_gram_is_that_of_exact_arithmetic(n: int, width: int, n_features: int, lowest: float) -> None:
    rng = np.random.default_rng(n + width)
    x, d = rng.normal(size=(n, width)) * 10.0 ** rng.integers(-3, 4, width), rng.uniform(lowest, 1, n)
    d[: n // 4] = 0
    found = DenseFeatures(x).gram(d, n_features=n_features)
    assert found.shape == (n_features, n_features)
    assert not found[width:].any()
    assert not found[:, width:].any()
    for i in range(width):
        for j in range(width):
            terms = [Fraction(a) * Fraction(b) * Fraction(u) for a, b, u in zip(x[:, i], x[:, j], d, strict=True)]
            assert abs(found[i, j] - float(sum(terms))) <= 1e-13 * float(sum(map(abs, terms)))


def test_the_gram_of_weights_that_are_not_negative_is_symmetric() -> None:
    rng = np.random.default_rng(1)
    found = DenseFeatures(rng.normal(size=(100, 30))).gram(rng.random(100), n_features=30)
    assert (found == found.T).all()
