"""What every kind of file of coefficients must do: say what is in it, or what is wrong with it, whatever it holds.

A kind joins by a file in `coefficient_files.SAMPLES`, with coefficients of features that have different names.
"""

from __future__ import annotations

import io
import random
import re
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from coefficient_files import (
    JSON,
    L2R_L2LOSS_SVC,
    L2R_L2LOSS_SVR,
    L2R_LR,
    L2R_LR_BIAS,
    L2R_LR_THREE,
    NPZ,
    SAMPLES,
    VW,
    VW_BFGS,
    VW_HEAD,
    VW_STATE,
    liblinear,
    npz,
)

from mr_ml.coefficients import COEFFICIENT_FILES, numpy_arrays
from mr_ml.coefficients.base import Coefficients
from mr_ml.errors import BadDataError

KINDS = tuple(COEFFICIENT_FILES)


def read(kind: str, data: bytes) -> Coefficients:
    return COEFFICIENT_FILES.get(kind).read(data, where="model.file")


def refused(kind: str, data: bytes) -> str:
    with pytest.raises(BadDataError) as caught:
        read(kind, data)
    text = str(caught.value)
    assert text.isprintable(), text
    assert text.startswith("model.file")
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_it_knows_its_own_and_no_other(kind: str) -> None:
    of = COEFFICIENT_FILES.get(kind)
    assert of.title
    assert [name for name, data in SAMPLES.items() if of.knows(data)] == [kind]
    assert not of.knows(b"")
    assert not of.knows(b"1 1:2\n")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_whole(kind: str) -> None:
    found = read(kind, SAMPLES[kind])
    k, n = found.weights.shape
    assert found.intercepts.shape == (k,)
    assert sum(one is not None for one in (found.names, found.ids, found.places)) == 1
    assert len({found.name_of(j) for j in range(n)}) == n > 1
    assert np.isfinite(found.weights).all()
    assert found.weights.dtype == found.intercepts.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_anywhere_is_refused(kind: str) -> None:
    data = SAMPLES[kind]
    whole = read(kind, data)
    told: list[str] = []
    for end in range(len(data)):
        try:
            found = read(kind, data[:end])
        except BadDataError as error:
            told.append(str(error))
            continue
        # text that lacks no more than what ends its last line, or lines that nothing counts
        lost = data[end:].strip()
        assert not lost or kind == "vw", end
        assert found.n_features <= whole.n_features
    assert all(text.isprintable() for text in told)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused_or_harmless_and_never_a_traceback(kind: str) -> None:
    draw = random.Random(7)
    data = SAMPLES[kind]
    told: list[str] = []
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 8))):
            at = draw.randrange(len(damaged))
            if draw.random() < 0.5:
                damaged[at] = draw.randrange(256)
            else:
                damaged[at:at] = draw.choice((b"\x1b[2J", b"nan", b"9" * 400, b"\n", b"\0", b"-", b"e999", b"\xff"))
        try:
            found = read(kind, bytes(damaged))
        except BadDataError as error:
            told.append(str(error))
        else:
            assert np.isfinite(found.weights).all()
            assert np.isfinite(found.intercepts).all()
    assert len(told) > 100
    assert all(text.isprintable() for text in told)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_no_file(kind: str) -> None:
    for data in (b"", b"\n", b"\0" * 1000, b"{}", b"PK\x03\x04", b"solver_type ", b"Version 9."):
        refused(kind, data)


# --- json -------------------------------------------------------------------------------------------------------------


def test_json_has_centres_and_a_loss() -> None:
    found = read("json", JSON)
    assert (found.names, found.labels, found.losses) == (("a", "b"), ("no", "yes"), ("logistic",))
    assert (found.weights.tolist(), found.intercepts.tolist()) == ([[0.5, -2.0]], [0.25])
    assert found.centres is not None
    assert found.centres.tolist() == [0.0, 100.0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"-2.0", b"NaN", "NaN"),
        (b"-2.0", b"1e999", "finite"),
        (b"-2.0", b'"2"', "number"),
        (b"[[0.5, -2.0]]", b"[[0.5], [1, 2]]", "one length"),
        (b"[[0.5, -2.0]]", b"[]", "coefficients"),
        (b'"intercepts": [0.25]', b'"intercepts": [0.25, 1]', "1 intercepts.*found 2"),
        (b'["a", "b"]', b'["a", "a"]', "each feature once.*'a'"),
        (b'["a", "b"]', b'["a"]', "2 features, since.*found 1"),
        (b'["no", "yes"]', b'["no", "no"]', "label once"),
        (b'["no", "yes"]', b'["a", "b", "c"]', "3 classes"),
        (b'["no", "yes"]', b'["no", "\\u001b[2J\\ud800"]', "UTF-8"),
        (b'"format_version": 1', b'"format_version": 9', "newer|one of"),
        (b'"mr_ml.model"', b'"other"', "mr_ml.model"),
        (b'"loss": "logistic", ', b"", "loss"),
        (b"{\n", b"{\n" + b'"x": ' + b"[" * 100_000 + b"]" * 100_000 + b",", "JSON|recursion"),
    ],
)
def test_json_that_is_not_as_it_should_be(old: bytes, new: bytes, words: str) -> None:
    assert old in JSON
    text = refused("json", JSON.replace(old, new))
    assert re.search(words, text), text


# --- arrays of numpy --------------------------------------------------------------------------------------------------


def test_arrays_as_scikit_learn_has_them() -> None:
    found = read("npz", npz(coef=np.array([1, 2]), intercept=0.0, feature_names=["x", "é"]))
    assert (found.weights.tolist(), found.intercepts.tolist(), found.labels) == ([[1.0, 2.0]], [0.0], ())
    # without an intercept there is one 0 for all classes
    found = read("npz", npz(coef=np.eye(3), intercept=[0.0], classes=[3, 1, 2]))
    assert (found.intercepts.tolist(), found.labels) == ([0, 0, 0], ("3", "1", "2"))
    assert found.places is not None
    assert found.places.tolist() == [0, 1, 2]
    assert "no feature_names" in found.notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"coef": [[1.0, np.nan]]}, "nan of feature b"),
        ({"coef": [[np.inf, 1.0]]}, "inf of feature a"),
        ({"intercept": [np.nan]}, "finite"),
        ({"intercept": [1.0, 2.0]}, "1 intercepts.*found 2"),
        ({"intercept": [[1.0]]}, "shape"),
        ({"coef": np.zeros((1, 2, 3))}, "shape"),
        ({"coef": [["a", "b"]]}, "numbers as coef"),
        ({"coef": [[1j, 2]]}, "numbers as coef"),
        ({"feature_names": ["a", "a"]}, "each feature once"),
        ({"feature_names": ["\x1b[2J", "\x1b[2J"]}, r"x1b\[2J"),
        ({"feature_names": ["a"]}, "found 1"),
        ({"feature_names": [["a", "b"]]}, "list of texts"),
        ({"feature_names": ["a", "\ud800"]}, "UTF-8"),
        ({"classes": ["a", "b", "c"]}, "3 classes"),
        ({"classes": ["a", "a"]}, "label once"),
        ({"w": [1.0]}, "found .*w"),
    ],
)
def test_arrays_that_are_not_as_they_should_be(change: dict[str, Any], words: str) -> None:
    arrays = {"coef": [[0.5, -2.0]], "intercept": [0.25], "feature_names": ["a", "b"], "classes": ["no", "yes"]}
    text = refused("npz", npz(**{**arrays, **change}))
    assert re.search(words, text), text


def test_a_pickle_is_never_loaded() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return pytest.fail, ("it was loaded",)

    text = refused("npz", npz(coef=[[1.0]], intercept=[0.0], feature_names=np.array([Bomb()], object)))
    assert "pickle" in text
    assert "numpy.savez" in text


def test_what_packs_well_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros of which a file has a thousandth, and a head that claims more than there is."""
    monkeypatch.setattr(numpy_arrays, "MOST_BYTES", 60_000_000)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1, 8_000_000)})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("coef.npy", "w") as file:
        file.write(head.getvalue())
        for _ in range(4):
            file.write(bytes(16_000_000))
    claims = io.BytesIO()
    with zipfile.ZipFile(claims, "w") as packed:
        packed.writestr("coef.npy", head.getvalue())
    tracemalloc.start()
    try:
        assert "at most" in refused("npz", out.getvalue())
        assert "cut off" in refused("npz", claims.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


# --- liblinear --------------------------------------------------------------------------------------------------------


def test_liblinear_is_positive_on_the_side_of_its_first_label() -> None:
    found = read("liblinear", L2R_LR_BIAS)
    # ours are on that of the second
    assert (found.labels, found.losses) == (("-1", "1"), ("logistic",))
    assert found.ids is not None
    assert found.ids.tolist() == [1, 2, 3]
    assert found.intercepts.tolist() == [-0.066675129081925896]
    assert read("liblinear", L2R_LR).intercepts.tolist() == [0.0]
    assert read("liblinear", L2R_L2LOSS_SVC).losses == ("squared_hinge",)
    numbers = read("liblinear", L2R_L2LOSS_SVR)
    assert (numbers.labels, numbers.losses) == ((), ("squared",))


def test_liblinear_multiplies_the_last_line_by_its_bias() -> None:
    assert read("liblinear", L2R_LR_BIAS.replace(b"bias 1", b"bias 4")).intercepts == pytest.approx([-0.2667005163])


def test_liblinear_has_a_column_for_each_of_several_classes() -> None:
    found = read("liblinear", L2R_LR_THREE)
    assert (found.labels, found.losses) == (("3", "1", "2"), ("softmax",))
    assert found.weights[:, 0].tolist() == [-0.37960813306882368, -0.37305522864483048, 0.58969751726929942]
    assert found.intercepts.tolist() == [-0.58028010783208162, -0.3393142132123364, -0.22548661911712992]
    assert "one against all" in found.notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (L2R_LR.replace(b"L2R_LR", b"MCSVM_CS"), "solver_type.*MCSVM_CS"),
        (L2R_LR.replace(b"L2R_LR", b"\x1b[2J"), "solver_type"),
        (L2R_LR.replace(b"0.8335", b"nan"), "found 'nan|numbers|finite"),
        (L2R_LR.replace(b"0.8335", b"1e999"), "finite.*feature 1|numbers"),
        (L2R_LR.replace(b"nr_feature 3", b"nr_feature 4"), "4 lines|cut off"),
        (L2R_LR.replace(b"nr_feature 3", b"nr_feature 2"), "2 lines"),
        (L2R_LR.replace(b"nr_feature 3", b"nr_feature 2000000000"), "cut off"),
        (L2R_LR.replace(b"nr_feature 3", b"nr_feature " + b"9" * 5000), "nr_feature"),
        (L2R_LR.replace(b"nr_class 2", b"nr_class 3"), "label"),
        (L2R_LR.replace(b"label 1 -1\n", b""), "label"),
        (L2R_LR.replace(b"label 1 -1", b"label 1 1"), "label once"),
        (L2R_LR.replace(b"bias -1", b"bias x"), "bias"),
        (L2R_LR.replace(b"bias -1", b"bias inf"), "bias"),
        (L2R_LR.replace(b"bias -1", b"bias 1"), "4 lines|cut off"),
        (L2R_LR.replace(b"bias -1", b"bias -1\nbias -1"), "each once"),
        (L2R_LR.replace(b"-0.726", b"1 -0.726"), ":8: expected 1 numbers"),
        (liblinear("L2R_LR", "1", "1;2;3"), "two classes"),
        (L2R_LR.replace(b"\nw\n", b"\n"), "w"),
    ],
)
def test_liblinear_that_is_not_as_it_should_be(data: bytes, words: str) -> None:
    text = refused("liblinear", data)
    assert re.search(words, text), text


# --- Vowpal Wabbit ----------------------------------------------------------------------------------------------------


def test_vw_has_names_as_its_rows_have_them() -> None:
    found = read("vw", VW)
    assert found.names == ("n^a", "x^c", "w^one", "n^b")
    assert found.weights.tolist() == [[0.339231, 0.102085, 0.103072, -0.34174]]
    assert found.intercepts.tolist() == [-0.102085]
    assert (found.labels, found.may_be_numbers, found.losses) == (("-1", "1"), True, ())
    bfgs = read("vw", VW_BFGS)
    assert (bfgs.names, bfgs.intercepts.tolist()) == (("n^a", "n^b"), [0.0])


def test_vw_takes_off_what_it_has_not_yet_taken_off() -> None:
    data = VW_HEAD.format(options="") + VW_STATE.format(l1=0.1, l2=0.5) + "a:1:0.3\nb:2:-0.3\nc:3:0.05\n"
    assert read("vw", data.encode()).weights[0] == pytest.approx([0.1, -0.1, 0.0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        *(
            (VW.replace(b"options:", f"options: {option}".encode()), option.split(maxsplit=1)[0])
            for option in ("--quadratic ab", "--interactions abc", "--oaa 3", "--nn 4", "--lrq ab2", "--spelling s")
        ),
        (VW.replace(b"options:", b"options: --\x1b[2J"), "x1b"),
        (VW.replace(b"0 ngram:", b"1 ngram:a2 "), "ngram"),
        (VW.replace(b"lda:0", b"lda:5"), "lda"),
        (VW.replace(b"bits:18", b"bits:99"), "bits"),
        (VW.replace(b"0.103072", b"nan"), r":\d+: expected NAME:INDEX:WEIGHT"),
        (VW.replace(b"0.103072", b"1e999"), "WEIGHT"),
        (VW.replace(b"w^one", b"n^a"), "each feature once.*n\\^a"),
        (VW.replace(b"l2_state 1\n", b""), "l2_state"),
        (VW.replace(b"l1_state 0", b"l1_state nan"), "l1_state"),
        (VW.replace(b":1\ninitial", b"initial"), "line :0 or :1"),
        # --readable_model
        (
            VW_BFGS.replace(b"n^a:", b"").replace(b"n^b:", b""),
            "--invert_hash",
        ),
        (VW[:-1], "line feed"),
    ],
)
def test_vw_that_is_not_as_it_should_be(data: bytes, words: str) -> None:
    text = refused("vw", data)
    assert re.search(words, text), text


def test_npz_sample_is_what_the_others_are_held_against() -> None:
    assert read("npz", NPZ).names == ("a", "b")
