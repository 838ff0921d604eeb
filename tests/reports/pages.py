"""Roots with runs of every sort to report of, and reports as trees of elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from commands import Commands

VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

# Each is the name of a column, a label or a category, which come from whoever wrote the rows.
SCRIPT = "<script>document.title='taken'</script>"
IMAGE = '"><img src=x onerror="document.title=\'taken\'">'
STYLE = "</style></svg><b onclick=x>'bold'"
BIDI = "\u202egnp.exe\u2066 \u200b"
CONTROLS = "bell\x07 escape\x1b[31m"
LONG = "w" * 150
ENTITY = "&lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}"


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str | None = None) -> list[Element]:
        """Return the elements within, of a tag if one is given."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] if tag in (None, child.tag) else []
                found += child.all(tag)
        return found

    @property
    def text(self) -> str:
        """Return all text within."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def with_id(self, name: str) -> Element:
        """Return the only element of this id."""
        (found,) = [one for one in self.all() if one.attributes.get("id") == name]
        return found

    def table(self, caption: str) -> list[list[str]]:
        """Return the cells of the first table whose caption, or summary, begins so."""
        found, *_ = [
            one
            for one in self.all("div")
            if one.attributes.get("class") == "scroll" and (one.attributes["aria-label"] or "").startswith(caption)
        ]
        return [[cell.text for cell in row.all() if cell.tag in ("th", "td")] for row in found.all("tr")]


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        made = Element(tag, dict(attrs))
        self.path[-1].children.append(made)
        if tag not in VOID:
            self.path.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop().tag == tag, tag

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(data)


def tree(page: str) -> Element:
    """Read a page, in which every element must be closed where it should be."""
    reader = _Tree()
    reader.feed(page)
    reader.close()
    (root,) = reader.path
    return root


def rows(folder: Path, name: str, labels: list[str], *, columns: tuple[str, ...] = ("age", "income", "city")) -> Path:
    """Write rows of two numbers and a category, with labels that follow from these but for chance."""
    rng = np.random.default_rng(len(labels))
    n = 600
    x = rng.normal(size=(n, 2)).round(2)
    city = rng.choice(["Rome", "Paris", "Oslo"], n, p=[0.6, 0.3, 0.1])
    z = 1.5 * x[:, 0] - x[:, 1] + (city == "Paris") + rng.logistic(size=n)
    if labels:
        told = [labels[k] for k in np.searchsorted(np.quantile(z, np.arange(1, len(labels)) / len(labels)), z)]
    else:
        told = [f"{value:.3f}" for value in z]
    header = ",".join(["label", *map(quoted, columns)])
    lines = [
        ",".join([quoted(label), str(a), str(b), c])
        for label, (a, b), c in zip(told, x.tolist(), city.tolist(), strict=True)
    ]
    file = folder / f"{name}.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return file


def quoted(text: str) -> str:
    """Return a field of CSV."""
    return '"' + text.replace('"', '""') + '"'


def packed(mr_ml: Commands, folder: Path, name: str, labels: list[str], **options: tuple[str, ...]) -> None:
    """Pack such rows in two splits."""
    file = rows(folder, name, labels, **options)
    mr_ml("pack", file, "--to", name, "--split", "train=0.6,test=0.4", "--label-column", "label")
