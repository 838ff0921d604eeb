"""What a schema file makes of columns, by docs/exports.md alone: a reader that shares nothing with ours.

Hashes by numpy's 64-bit words, dates by `strptime`, logarithms by the C library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np

Row = Mapping[str, str]
ISO = "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"


def features(document: Mapping[str, Any], row: Row) -> dict[int, float]:
    """Return the features that `inputs.transforms` make of a row of text; raises ValueError if it is refused."""
    found: dict[int, float] = {}
    for made in document["inputs"]["transforms"]:
        for feature, value in MAKERS[made["kind"]](made, row, document["inputs"]):
            assert 0 <= feature < made["n_features"]
            found[made["first"] + feature] = value
    return found


def refuses(document: Mapping[str, Any], row: Row) -> bool:
    """Whether a row is one that has no prediction."""
    try:
        features(document, row)
    except ValueError:
        return True
    return False


def text_of(inputs: Mapping[str, Any], field: str) -> str | None:
    text = field.strip(" \t")
    return None if text in inputs["missing_texts"] else text


def number_of(made: Mapping[str, Any], inputs: Mapping[str, Any], field: str) -> float | None:
    text = field.strip(" \t")
    if text in (*inputs["missing_texts"], *inputs["missing_number_texts"]):
        return None
    if made.get("thousands"):
        front, mark, behind = text.partition(made["decimal"])
        groups = front.lstrip("+-").split(made["thousands"])
        if groups[1:] and (not 1 <= len(groups[0]) <= 3 or any(len(group) != 3 for group in groups[1:])):
            raise ValueError(text)
        text = front.replace(made["thousands"], "") + mark + behind
    if made.get("decimal", ".") != ".":
        text = text.replace(".", "x").replace(made["decimal"], ".")
    percent = bool(made.get("percent")) and text.endswith("%")
    if percent and "e" in text.lower():
        raise ValueError(text)
    text = text.removesuffix("%").removesuffix(" ") + "e-2" if percent else text
    number = float(text)
    if not math.isfinite(number) or "_" in text:
        raise ValueError(text)
    return number


def refused(made: Mapping[str, Any]) -> bool:
    if made["missing"] in ("error", "drop"):
        raise ValueError("no value")
    return True


def mix(z: Any) -> Any:
    with np.errstate(over="ignore"):
        z = np.uint64(z) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def hash_of(text: str | None) -> Any:
    data = (text or "").encode()
    if len(data) > 256:
        return np.frombuffer(blake2b(data, digest_size=8).digest(), "<u8")[0]
    with np.errstate(over="ignore"):
        key = mix(np.uint64(len(data)) + np.uint64(0x9E3779B97F4A7C15))
    # whole words from the back, and what is left in front with zeros behind
    words = [data[max(end - 8, 0) : end].ljust(8, b"\0") for end in range(max(len(data), 1), 0, -8)]
    for word in words:
        key = mix(key ^ np.frombuffer(word, "<u8")[0])
    return key


def bucket(made: Mapping[str, Any], key: Any) -> int:
    return int(mix(key ^ mix(made["seed"])) >> np.uint64(64 - made["bits"]))


def quantity(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    number = number_of(made, inputs, row[made["column"]])
    if number is None and refused(made) and made["indicator"]:
        yield 1, 1.0
    yield 0, made["learnt"] if number is None else number


def category(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    text = text_of(inputs, row[made["column"]])
    if text is None and refused(made) and made["missing"] == "none":
        return
    wanted = "<missing>" if text is None else text
    if made["whole"] and wanted not in made["learnt"] and re.fullmatch(r"\+?[0-9]+(\.0*)?|-[0-9]+(\.0*)?", wanted):
        wanted = wanted.lstrip("+").partition(".")[0].replace("-0", "0")
    if wanted in made["learnt"]:
        yield made["learnt"].index(wanted), 1.0
    elif made["unseen"] == "refuse":
        raise ValueError(wanted)


def hashed(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    text = text_of(inputs, row[made["column"]])
    if text is not None or (refused(made) and made["missing"] == "category"):
        yield bucket(made, hash_of(text)), 1.0


def interval(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> int | None:
    number = number_of(made, inputs, row[made["column"]])
    return None if number is None else sum(edge <= number for edge in made["learnt"])


def bucketised(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    code = interval(made, row, inputs)
    if code is not None or (refused(made) and made["missing"] == "category"):
        yield len(made["learnt"]) + 1 if code is None else code, 1.0


def crossed(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    key, inner = np.uint64(0), {one["column"]: one for one in made["intervals"]}
    lacks = False
    for name in made["of"]:
        if name in inner:
            code = interval(inner[name], row, inputs)
            part = None if code is None else mix(code)
        else:
            text = text_of(inputs, row[name])
            part = None if text is None else hash_of(text)
        lacks = lacks or (part is None and refused(made))
        key = mix(key ^ (hash_of("") if part is None else part))
    if not lacks or made["missing"] == "category":
        yield bucket(made, key), 1.0


def moment(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> datetime | None:
    field, start = row[made["column"]], datetime(1970, 1, 1, tzinfo=UTC)
    if made["format"] in ("unix", "unix-ms"):
        number = number_of({}, inputs, field)
        try:
            unit = 1 if made["format"] == "unix" else 1000
            return None if number is None else start + timedelta(seconds=math.floor(number / unit))
        except OverflowError as error:
            raise ValueError(field) from error
    text = text_of(inputs, field)
    if text is None:
        return None
    formats = made["format"] if isinstance(made["format"], list) else [made["format"]]
    for form in [one for each in formats for one in (ISO if each == "iso" else (each,))]:
        given = text
        if form in ISO and len(form) > 8:
            given = re.sub(r"(:[0-9]{2}:[0-9]{2})\.[0-9]+(Z?)$", r"\1\2", given).removesuffix("Z")
        try:
            when = datetime.strptime(given, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        # strptime takes 1.1.2024 too, and digits of other scripts
        if given in (f"{when:{form}}", f"{when:{form}}".rjust(len(given), "0")):
            return when
    raise ValueError(text)


SIZES = {"weekday": 7, "day": 31, "month": 12, "quarter": 4, "hour": 24, "year": 1, "days": 1}


def date(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    when, first = moment(made, row, inputs), 0
    if when is None and refused(made) and made["missing"] == "category":
        yield sum(SIZES[part] for part in made["parts"]), 1.0
    for part in made["parts"] if when is not None else ():
        assert when is not None
        since = datetime.fromisoformat(made["since"]).replace(tzinfo=UTC)
        code = {
            "weekday": when.weekday(), "day": when.day - 1, "month": when.month - 1,
            "quarter": (when.month - 1) // 3, "hour": when.hour,
        }.get(part)  # fmt: skip
        number = float(when.year) if part == "year" else (when - since) / timedelta(days=1)
        yield (first, number) if code is None else (first + code, 1.0)
        first += SIZES[part]


def words(made: Mapping[str, Any], row: Row, inputs: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    text = text_of(inputs, row[made["column"]])
    if text is None:
        refused(made)
        return
    found, times = re.findall(r"\w+", text.lower()), np.zeros(1 << made["bits"])
    for length in range(made["ngrams"][0], made["ngrams"][1] + 1):
        for k in range(len(found) - length + 1):
            times[bucket(made, hash_of(" ".join(found[k : k + length])))] += 1
    if made["weights"] == "binary":
        times = np.minimum(times, 1)
    if made["weights"] == "tf-idf":
        times *= np.log((1 + made["learnt"]["n_rows"]) / (1 + np.array(made["learnt"]["rows_with"]))) + 1
        times /= np.linalg.norm(times) or 1.0
    for k in np.flatnonzero(times).tolist():
        yield k, float(times[k])


MAKERS = {
    "quantity": quantity, "category": category, "hashed": hashed, "bucketised": bucketised, "crossed": crossed,
    "date": date, "words": words,
}  # fmt: skip
