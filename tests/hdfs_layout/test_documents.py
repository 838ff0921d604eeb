"""Documents prove themselves whole: whatever was not written by `encode_document` is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdfs_layout import decode_document, encode_document
from mr_ml.errors import BadDataError

GOLDEN = (Path(__file__).parent.parent / "golden" / "document-format-1.json").read_bytes()
# What the golden file says, written by hand.
GOLDEN_DOCUMENT: dict[str, Any] = {
    "name": "iris",
    "run": "20261123-a",
    "created": "2026-11-23T05:28:11Z",
    "splits": {"train": 0.8, "test": 0.2},
    "seed": 7,
    "partitions": [
        {
            "path": "datasets/iris/data/20261123-a/part-00000",
            "blocks": 2,
            "rows": 150,
            "bytes": 9183,
            "sha256": "0" * 64,
        }
    ],
    "features": ["sepal length", 'Blütenblatt \u2028 "width"', "\\x"],
    "label": None,
    "exact": True,
    "numbers": [0.1, 1e-300, -0.0, 1e22, 123456789012345678901234567890, 5e-324],
    "empty": {},
    "none": [],
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text().filter(lambda key: key not in ("format", "sha256")), JSON, max_size=5)


def test_format_1_is_written_and_read_as_ever() -> None:
    assert encode_document(GOLDEN_DOCUMENT) == GOLDEN
    assert decode_document(GOLDEN, where="golden") == GOLDEN_DOCUMENT


@given(document=DOCUMENTS)
def test_any_document_is_read_back(document: dict[str, Any]) -> None:
    encoded = encode_document(document)
    assert decode_document(encoded, where="here") == document
    assert encode_document(dict(reversed(document.items()))) == encoded


@given(document=DOCUMENTS)
def test_the_checksum_is_that_of_the_other_lines(document: dict[str, Any]) -> None:
    lines = encode_document(document).split(b"\n")
    at = [number for number, line in enumerate(lines) if line.startswith(b'  "sha256": ')]
    assert len(at) == 1
    stated = lines.pop(at[0]).split(b'"')[3].decode()
    assert stated == hashlib.sha256(b"\n".join(lines)).hexdigest()


def test_no_flipped_bit_passes() -> None:
    for position in range(len(GOLDEN)):
        for bit in range(8):
            damaged = bytearray(GOLDEN)
            damaged[position] ^= 1 << bit
            with pytest.raises(BadDataError, match=r"/models/ctr/v000001\.json"):
                decode_document(bytes(damaged), where="/models/ctr/v000001.json")


def test_no_other_length_passes() -> None:
    for length in range(len(GOLDEN)):
        with pytest.raises(BadDataError, match="whole document"):
            decode_document(GOLDEN[:length], where="here")
    for more in (b"\n", b" ", b"\0", GOLDEN, b"}"):
        with pytest.raises(BadDataError, match="whole document"):
            decode_document(GOLDEN + more, where="here")


def _sealed(envelope: str) -> bytes:
    """`envelope` with the right checksum in place of ?, whatever else is wrong with it."""
    lines = [line for line in envelope.splitlines(keepends=True) if not line.startswith('  "sha256": ')]
    return envelope.replace("?", hashlib.sha256("".join(lines).encode()).hexdigest()).encode()


def test_seal() -> None:
    assert decode_document(_sealed('{\n  "a": 1,\n  "format": 1,\n  "sha256": "?"\n}\n'), where="here") == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        GOLDEN.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + GOLDEN,
        GOLDEN.replace(b"\n", b"\r\n"),
        GOLDEN.replace(b"  ", b"\t"),
        json.dumps(json.loads(GOLDEN), sort_keys=True).encode(),
        _sealed('{\n  "a": NaN,\n  "format": 1,\n  "sha256": "?"\n}\n'),
        _sealed('{\n  "a": Infinity,\n  "format": 1,\n  "sha256": "?"\n}\n'),
        _sealed('{\n  "a": 1,\n  "sha256": "?"\n}\n'),
        _sealed('{\n  "a": 1,\n  "format": 0,\n  "sha256": "?"\n}\n'),
        _sealed('{\n  "a": 1,\n  "format": true,\n  "sha256": "?"\n}\n'),
        _sealed('{"a": {\n  "sha256": "?"\n}, "format": 1}\n'),
        _sealed('{\n  "a": 1,\n  "format": 1.0,\n  "sha256": "?"\n}\n'),
        _sealed('{\n  "a": 1,\n  "format": "1",\n  "sha256": "?"\n}\n'),
        _sealed('{\n  "a": 1,\n  "format": 1,\n  "sha256": "?", "b": 2\n}\n'),
        b'{\n  "a": 1,\n  "format": 1\n}\n',
        GOLDEN.replace(b'",\n  "splits"', b'", \n  "splits"'),
        GOLDEN.replace(b'"sha256": "8', b'"sha256":  "8'),
        GOLDEN.replace(b'  "sha256": "8', b'  "sha256" : "8'),
        GOLDEN.replace(b'",\n  "splits"', b'",\n  "sha256": "",\n  "splits"'),
        GOLDEN.replace(b'",\n  "splits"', b'",\n\n  "splits"'),
        GOLDEN.replace(b'"empty"', b'"format": 1, "empty"'),
        GOLDEN.replace(b'\n  "sha256": "8', b'\n  "sha256": "' + b"8" * 64 + b'",\n  "sha256": "8'),
        GOLDEN[:-2] + b',\n  "sha256": "' + b"8" * 64 + b'"\n}\n',
        b'{\n  "a": 1,\n  "format": 1,\n  "sha256": null\n}\n',
    ],
    ids=range(32),
)
def test_what_was_never_written_is_bad_data(data: bytes) -> None:
    with pytest.raises(BadDataError, match="expected here to be a whole document") as refused:
        decode_document(data, where="here")
    assert str(refused.value).isprintable()


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_document_or_bad_data(data: bytes) -> None:
    with pytest.raises(BadDataError):
        decode_document(data, where="here")


@given(envelope=st.dictionaries(st.sampled_from(["a", "format", "sha256"]), JSON))
def test_any_json_object_without_a_seal_is_bad_data(envelope: dict[str, Any]) -> None:
    with pytest.raises(BadDataError):
        decode_document((json.dumps(envelope, sort_keys=True, indent=2) + "\n").encode(), where="here")


@pytest.mark.parametrize("number", [2, 3, 10**19])
def test_a_newer_format_says_to_upgrade(number: int) -> None:
    with pytest.raises(BadDataError, match=rf"at most format 1.*found format {number}.*[Uu]pgrade"):
        decode_document(_sealed(f'{{\n  "format": {number},\n  "new": [],\n  "sha256": "?"\n}}\n'), where="here")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"deep": [-float("inf")]}]])
def test_a_number_that_json_cannot_hold_is_bad_data(value: object) -> None:
    with pytest.raises(BadDataError, match="NaN or infinity"):
        encode_document({"metric": value})


def test_defects_of_the_caller_raise_as_such() -> None:
    with pytest.raises(ValueError, match="'format' and 'sha256'"):
        encode_document({"format": 1, "sha256": ""})
    with pytest.raises(TypeError):
        encode_document({"a": {1, 2}})
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match=r"[Cc]ircular"):
        encode_document({"a": circle})


def test_tuples_and_keys_that_are_numbers_are_read_back_as_json_has_them() -> None:
    document = {"shape": (2, 3), "by_class": {2: "b", 10: "a", 1: "c"}}
    assert decode_document(encode_document(document), where="here") == {
        "shape": [2, 3],
        "by_class": {"1": "c", "10": "a", "2": "b"},
    }
