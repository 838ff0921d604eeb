"""The stand-alone scorer against the definitions of responses, and against mr_ml's own reading of numbers."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mr_ml
from mr_ml.exports import scorer
from mr_ml.models.formula import Response
from mr_ml.models.linear.losses import LOSSES, PARAMETERS, loss_from_text
from mr_ml.readers.csv.categories import Categories
from mr_ml.readers.csv.numbers import numbers_of
from mr_ml.readers.text.fields import hash_fields
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms import alone
from mr_ml.readers.transforms.hashing import buckets
from mr_ml.readers.transforms.logarithm import log

MARGINS = (-800.0, -709.5, -40.0, -6.0, -3.0, -0.3, -1e-9, 0.0, 1e-300, 1e-9, 0.3, 2.0, 5.5, 7.0, 38.0, 709.5, 800.0)


@pytest.mark.parametrize("name", LOSSES.built_in)
def test_a_response_is_what_the_loss_says(name: str) -> None:
    """Of each loss that exports know, whatever its parameters."""
    parameters = {"gamma": ["", ":link=inverse"], "tweedie": [":power=1.5"], "negative_binomial": [":theta=2"]}
    parameters |= {"huber": [":delta=1"], "quantile": [":width=0.1,level=0.3"]}
    assert set(parameters) == set(PARAMETERS)
    for chosen in parameters.get(name, [""]):
        loss = loss_from_text(name + chosen)
        response = loss.response
        assert response is not None
        n_margins = 3 if response is Response.SOFTMAX else 1
        z = np.array([[m * (k + 1) / 2 for k in range(n_margins)] for m in MARGINS])
        for row, expected in zip(z, loss.inverse_link(z), strict=True):
            found = scorer._RESPONSES[response.value](row.tolist())
            assert found == pytest.approx(expected.tolist(), rel=2e-13, abs=1e-300)
            assert len(found) == (n_margins if response is Response.SOFTMAX else 1 + response.of_classes)


@pytest.mark.parametrize("z", [z for z in MARGINS if abs(z) < 38])
def test_probabilities_are_right_to_the_last_digits(z: float) -> None:
    """By 50 digits: a check that shares nothing with ours."""
    with mp.workdps(50):
        a = mp.e ** mp.mpf(z)
        expected = {
            "sigmoid": [1 / (1 + a), a / (1 + a)],
            "normal": [mp.ncdf(-z), mp.ncdf(z)],
            "complementary_log_log": [mp.e**-a, 1 - mp.e**-a],
        }
        for response, values in expected.items():
            assert scorer._RESPONSES[response]([z]) == pytest.approx([float(v) for v in values], rel=1e-12, abs=1e-300)


SPELLINGS = (
    TextOptions(), TextOptions(decimal=","), TextOptions(thousands=","), TextOptions(decimal=",", thousands="."),
    TextOptions(thousands=" ", percent=True), TextOptions(thousands="'"), TextOptions(percent=True),
)  # fmt: skip


@given(st.text(alphabet="0123456789.,+-eE% '\u00a0\u2019x_", max_size=12), st.sampled_from(SPELLINGS))
@example("1.234.567,5", SPELLINGS[3])
@example("12,345.5", SPELLINGS[2])
@example("1\u00a0234 %", SPELLINGS[4])
@example("1\u2019234", SPELLINGS[5])
@example("1234,567", SPELLINGS[2])
@example("5e1%", SPELLINGS[6])
def test_numbers_are_read_as_mr_ml_reads_them(text: str, options: TextOptions) -> None:
    text = text.strip(" \t")
    spelled = alone.spelling({"decimal": options.decimal, "thousands": options.thousands, "percent": options.percent})
    plain = spelled(text)
    number = None if plain is None else float(plain)
    expected = numbers_of([text], options).get(text)
    assert (None if number is None or abs(number) == np.inf else number) == expected


@given(st.text(max_size=300), st.integers(1, 20), st.integers(0, 2**63 - 1))
@example("", 20, 0)
@example("x" * 256, 9, 1)
@example("x" * 257, 9, 1)
@example("12345678", 5, 2**63 - 1)
def test_hashes_are_those_of_mr_ml(text: str, bits: int, seed: int) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    keys = hash_fields(data, np.array([0]), np.array([len(data)]))
    assert alone.hash_of(text) == int(keys[0])
    expected = int(buckets(keys, bits=bits, seed=seed)[0])
    assert alone._bucket(alone.hash_of(text), {"bits": bits, "seed": seed}) == expected


def test_the_hashes_of_the_guide_are_right() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")
    assert f'`hash("12345678")` is {alone.hash_of("12345678"):#018x}, `hash("")` {alone.hash_of(""):#018x}.' in guide


@given(st.floats(min_value=5e-324, max_value=1.7e308))
@example(1.0)
@example(0.7071067811865475)
def test_logarithms_are_those_of_mr_ml_to_the_bit(x: float) -> None:
    assert alone.logarithm(x) == float(log(np.array([x]))[0])


@given(st.text(alphabet="0123.+-", max_size=6))
@example("-0.0")
@example("+1.000")
def test_whole_categories_are_known_by_any_spelling(text: str) -> None:
    values = ("-3", "0", "1", "12.0", "30")
    buffer = np.frombuffer(text.encode() + b"\n", np.uint8)
    expected = int(Categories(values).find(buffer, np.array([0]), np.array([len(text)]))[0])
    codes = alone.codes_of(values, whole=True)
    assert codes.get(text, codes.get(alone.without_fraction(text), -1)) == expected


def test_it_imports_the_standard_library_only(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1 1:1\n2 1:3\n2 1:4\n" * 9)
    mr_ml.pack(str(tmp_path / "root"), tmp_path / "rows", "rows")
    mr_ml.train(str(tmp_path / "root"), "rows", "m", l2=1.0)
    mr_ml.export(str(tmp_path / "root"), "m", tmp_path / "m.py", kind="python")
    tree = ast.parse((tmp_path / "m.py").read_text(encoding="utf-8"))
    imported = {
        name.name.partition(".")[0] if isinstance(node, ast.Import) else str(node.module).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
    called: set[Any] = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"eval", "exec", "compile", "__import__"}
