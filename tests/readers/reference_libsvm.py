"""A slow, obvious reader of libsvm text: one line, one token, one `float` at a time. The oracle of the fast one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mr_ml.readers.rows import BAD_KINDS

MAX_ID = 2**31 - 1
NUMERIC = set("0123456789_.+-eE")
DIGITS = set("0123456789")


class Refused(Exception):
    """A token is no number; its argument is the kind."""


@dataclass
class Reference:
    """Rows as (line, label or None, ids from 0, values, query id or None); bad lines as line -> kind."""

    rows: list[tuple[int, float | None, list[int], list[float], str | None]] = field(default_factory=list)
    bad: dict[int, str] = field(default_factory=dict)
    n_lines: int = 0


def read(text: bytes, *, base: int, labels: str) -> Reference:
    """Read whole lines; the last one may lack its line feed."""
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    result = Reference(n_lines=len(lines))
    for number, line in enumerate(lines):
        line = line.removesuffix(b"\r")
        kinds = kinds_of_bytes(line)
        row = None
        if not kinds:
            kinds, row = read_line(line.decode(), base=base, labels=labels)
        if kinds:
            result.bad[number] = min(kinds, key=list(BAD_KINDS).index)
        elif row is not None:
            result.rows.append((number, *row))
    return result


def kinds_of_bytes(line: bytes) -> set[str]:
    kinds = set()
    if line.startswith(b"\xef\xbb\xbf"):
        kinds.add("bom")
    if b"\0" in line:
        kinds.add("nul")
    if b"\r" in line:
        kinds.add("lone_cr")
    try:
        line.decode()
    except UnicodeDecodeError:
        kinds.add("not_utf8")
    return kinds


def read_line(line: str, *, base: int, labels: str) -> tuple[set[str], Any]:
    # blanks behind a colon do not count, if anything follows them
    line = re.sub(r":[ \t]+(?=[^ \t])", ":", line.split("#")[0])
    tokens = [token for token in line.replace("\t", " ").split(" ") if token]
    if not tokens:
        return set(), None
    kinds: set[str] = set()

    def checked(convert: Callable[..., float], *arguments: object) -> float:
        try:
            return convert(*arguments)
        except Refused as refused:
            kinds.add(refused.args[0])
            return math.nan

    label = query = None
    features = tokens
    if ":" not in tokens[0]:
        label, features = checked(number, tokens[0], "bad_label"), tokens[1:]
        if re.fullmatch("[+-]?[0-9]+", tokens[0]) and label is not math.nan and int(tokens[0]) != int(label):
            kinds.add("inexact_label")
    elif labels == "required":
        kinds.add("no_label")
    ids, values = [], []
    for position, token in enumerate(features):
        parts = token.split(":")
        if len(parts) != 2 or "" in parts:
            kinds.add("ragged_token")
        elif parts[0] == "qid":
            query = parts[1]
            if position > 0 or not set(query) <= DIGITS:
                kinds.add("bad_qid")
        else:
            ids.append(checked(feature_id, parts[0], base))
            values.append(checked(number, parts[1], "bad_value"))
    if not kinds:
        for before, after in pairwise(ids):
            if before == after:
                kinds.add("duplicate_id")
            elif before > after:
                kinds.add("descending_ids")
    return kinds, (label, ids, values, query)


def number(token: str, kind: str) -> float:
    if not token.isascii():
        raise Refused("non_ascii")
    if token.lower() in {sign + word for sign in ("", "+", "-") for word in ("nan", "inf", "infinity")}:
        raise Refused("not_finite")
    if not set(token) <= NUMERIC:
        raise Refused(kind)
    if "_" in token:
        raise Refused("underscore")
    try:
        value = float(token)
    except ValueError:
        raise Refused(kind) from None
    if math.isinf(value):
        raise Refused("overflow")
    return value


def feature_id(token: str, base: int) -> int:
    if not token.isascii():
        raise Refused("non_ascii")
    if "_" in token and set(token) <= NUMERIC:
        raise Refused("underscore")
    if not set(token) <= DIGITS:
        raise Refused("bad_id")
    digits = token.lstrip("0") or "0"
    if len(digits) > 10 or int(digits) - base > MAX_ID:
        raise Refused("id_too_large")
    if int(digits) < base:
        raise Refused("id_zero")
    return int(digits) - base
