"""Read YAML so that every value knows its line, and none is other than it looks.

What readers of YAML 1.1 (as PyYAML is) and of YAML 1.2 (as editors are) take for different things is refused: `no`,
`010`, `1_000`, `2026-11-26`. Numbers are those of YAML 1.2, so `1e-6` is one. Also refused are keys that are there
twice, anchors and aliases, by which a short text can be an endless one, tags, and a second document.

The parser's events are read one by one, not its documents, which it would make without bounds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml.data.stored import shown
from mr_ml.errors import NotFoundError, UsageError
from mr_ml.settings.environment import FromEnvironment, substituted

# The parser takes seconds for a megabyte.
MAX_BYTES = 1 << 17
MAX_DEPTH = 16
# In places, what no list and no mapping has.
_NO_WORD = -1

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,5})?", re.ASCII)
_DIGITS = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]+", re.ASCII)
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG = "tag:yaml.org,2002:"
_ADVICE = {
    "bool": "is yes or no to some readers of YAML, a word to others: write true or false, or put the word into quotes",
    "int": "is not the same number to all readers of YAML: write it in decimal digits alone, or put a text into quotes",
    "timestamp": "is a date to some readers of YAML and a text to others: put it into quotes",
}
_ADVICE["float"] = _ADVICE["int"]

Key = str | int
Place = tuple[Key, ...]


class Fault(NamedTuple):
    """Something that is wrong with the file.

    Attributes
    ----------
    line
        From 1 on.
    place
        Keys and indices that lead there.
    text
        What was expected and found.
    """

    line: int
    place: Place
    text: str


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value of the file.

    Attributes
    ----------
    line
        On which it begins, from 1 on.
    value
        A scalar; None of lists and mappings.
    written
        The scalar as the file has it, for messages.
    items, keys
        Of a list or a mapping; and the line of each key.
    is_faulty
        Something is wrong with it that has been said.
    """

    line: int
    value: Any = None
    written: str = ""
    items: list[Node] | dict[str, Node] | None = None
    keys: dict[str, int] = field(default_factory=dict)
    is_faulty: bool = False

    def plain(self) -> Any:
        """Return the value as JSON has it."""
        if isinstance(self.items, dict):
            return {key: item.plain() for key, item in self.items.items()}
        return self.value if self.items is None else [item.plain() for item in self.items]

    def shown(self) -> str:
        """Return the value as the file has it, for a message."""
        if isinstance(self.items, dict):
            return "keys and values" if self.items else "no keys"
        if self.items is not None:
            return "a list" if self.items else "an empty list"
        return "nothing" if self.value is None else self.written

    def texts(self) -> Iterator[FromEnvironment]:
        """Yield all texts with values of the environment in them."""
        if isinstance(self.value, FromEnvironment):
            yield self.value
        for item in self.items.values() if isinstance(self.items, dict) else self.items or ():
            yield from item.texts()

    def at(self, place: Place) -> Node | None:
        """Return the value at a place; None if there is none."""
        node = self
        for key in place:
            items: Any = node.items
            if not (key in items if isinstance(items, dict) else items and isinstance(key, int) and key < len(items)):
                return None
            node = items[key]
        return node

    def line_of(self, place: Place) -> int:
        """Return the line of a key or a list's item, or of what is nearest to it on the way."""
        line = self.line
        for depth in range(1, len(place) + 1):
            node, above = self.at(place[:depth]), self.at(place[: depth - 1])
            if node is None or above is None:
                break
            line = above.keys.get(str(place[depth - 1]), node.line)
        return line


def read_bytes(path: str, *, what: str = "the settings of a retraining", guide: str = "docs/retraining.md") -> bytes:
    """Read a file that people write; `what` it is and which `guide` describes it, for messages.

    Raises
    ------
    UsageError
        If it is no file, or larger than settings are.
    StorageError
        If it cannot be read.
    """
    try:
        # a pipe that nobody writes to would be waited for
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path}: expected a file, found a pipe, a folder or a device")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"expected {what} in {path}; found no such file. {guide} describes it") from error
    except OSError as error:
        raise storage_error(error, doing="read", place=path) from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: expected settings of at most {MAX_BYTES >> 10} kB, found more: is it another file?")
    return content


def read_tree(content: bytes, environment: Mapping[str, str]) -> tuple[Node, list[Fault]]:
    """Read YAML.

    Returns
    -------
    node
        The whole, as far as it can be read; without anything, an empty mapping.
    faults
        What is wrong with it, in the order of the file.
    """
    nothing = Node(line=1, items={}, is_faulty=True)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return nothing, [Fault(line, (), f"expected UTF-8, found the byte {content[error.start]:#04x}")]
    faults: list[Fault] = []
    try:
        node = _Reading(text, environment, faults).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return nothing, [Fault(line, (), f"expected text, found the character {error.character:#06x}")]
    except yaml.MarkedYAMLError as error:
        return nothing, [*faults, Fault(*_syntax(error, text))]
    except _TooDeep as error:
        return nothing, [*faults, Fault(error.args[0], (), f"expected at most {MAX_DEPTH} levels, found more")]
    return node, faults


class _TooDeep(Exception):
    """Lists in lists in lists; has the line."""


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[int, Place, str]:
    mark = error.problem_mark or error.context_mark
    line = (mark.line if mark else 0) + 1
    found = " ".join(filter(None, (error.context, error.problem)))
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    if "\\t" in found or here[: len(here) - len(here.lstrip())].count("\t"):
        hint = "; there is a tab: YAML is indented with blanks"
    elif "mapping values" in found:
        hint = "; a text with `: ` in it is put into quotes, and keys of one section begin in one column"
    elif "${" in here:
        hint = "; within { } and [ ] a text with ${NAME} in it is put into quotes"
    else:
        hint = ""
    return line, (), f"expected YAML, found fault {found}{hint}"


def _joined(text: str) -> str | None:
    """Return a text whose pairs of escapes for one character, as JSON has them, are one; None of one half alone."""
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return None


class _Reading:
    """Makes the tree of the parser's events."""

    def __init__(self, text: str, environment: Mapping[str, str], faults: list[Fault]) -> None:
        self.loader = yaml.SafeLoader(text)
        self.environment = environment
        self.faults = faults

    def document(self) -> Node:
        events = self._events()
        next(events)  # the stream's start
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(line=1, items={})
        node = self._node(next(events), events, ())
        next(events)  # the document's end
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._fault(event, (), "expected one document, found another after `---`")
        return node

    def _events(self) -> Iterator[yaml.Event]:
        while self.loader.check_event():
            yield self.loader.get_event()

    def _fault(self, event: yaml.Event, place: Place, text: str) -> None:
        # what is in a key that is no word is nowhere
        place = place[: place.index(_NO_WORD)] if _NO_WORD in place else place
        self.faults.append(Fault(event.start_mark.line + 1, place, text))

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], place: Place) -> Node:
        line = event.start_mark.line + 1
        if len(place) > MAX_DEPTH:
            raise _TooDeep(line)
        is_faulty = False
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            self._fault(
                event, place, f"expected no anchors and aliases, found {shown(sign + event.anchor)}: write it out"
            )
            is_faulty = True
        elif event.tag is not None:
            self._fault(event, place, f"expected no tags, found {shown(event.tag)}: leave it out")
            is_faulty = True
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, place, line, is_faulty)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self._node(event, events, (*place, len(items))))
            return Node(line=line, items=items, is_faulty=is_faulty)
        if is_faulty:
            return Node(line=line, is_faulty=True)
        return self._scalar(event, place, line)

    def _mapping(self, events: Iterator[yaml.Event], place: Place, line: int, is_faulty: bool) -> Node:
        items: dict[str, Node] = {}
        keys: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
                self._fault(event, place, "expected a word as key, found something else")
                self._node(event, events, (*place, _NO_WORD))
                self._node(next(events), events, (*place, _NO_WORD))
                is_faulty = True
                continue
            key, at = _joined(event.value) or "", event.start_mark.line + 1
            node = self._node(next(events), events, (*place, key))
            if key in items:
                self._fault(event, (*place, key), f"expected once, found again; it is in line {keys[key]} too")
            else:
                items[key], keys[key] = node, at
        return Node(line=line, items=items, keys=keys, is_faulty=is_faulty)

    def _scalar(self, event: yaml.ScalarEvent, place: Place, line: int) -> Node:
        text = _joined(event.value)
        if text is None:
            self._fault(event, place, f"expected text that UTF-8 can write, found {shown(event.value)}")
            return Node(line=line, is_faulty=True)
        if "${" in text:
            try:
                return Node(line=line, value=substituted(text, self.environment), written=shown(text))
            except ValueError as error:
                self._fault(event, place, str(error))
                return Node(line=line, is_faulty=True)
        if not event.implicit[0]:
            return Node(line=line, value=text, written=shown(text))
        try:
            return Node(line=line, value=self._plain(text), written=shown(text)[1:-1])
        except ValueError as error:
            self._fault(event, place, f"{shown(text)[1:-1]} {error}")
            return Node(line=line, is_faulty=True)

    def _plain(self, text: str) -> Any:
        """Return what a scalar without quotes is; raise ValueError if that depends on who reads it."""
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        of_old = self.loader.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
        if text.lower().endswith((".inf", ".nan")) and of_old == "float":
            raise ValueError("is no finite number")
        if _DIGITS.fullmatch(text):
            of_old = "int"
        if of_old in _ADVICE:
            raise ValueError(_ADVICE[of_old])
        return text
