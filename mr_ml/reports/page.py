"""The page: blocks as HTML, by a template in which everything is escaped that no part of mr_ml has made.

One file that needs nothing else: no script, no font, no image, nothing from a network, which its own
Content-Security-Policy forbids. Its only style sheet is known to that by its sha256.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml import __version__
from mr_ml.errors import UsageError
from mr_ml.reports.base import SECTIONS
from mr_ml.reports.blocks import Block
from mr_ml.reports.drawing import Drawing
from mr_ml.reports.facts import Facts
from mr_ml.reports.visible import visible
from mr_ml.reports.words import count, number

_TEMPLATE, _STYLE = "page.html.j2", "page.css"
# Of the metrics of an evaluation or a decision, what says most.
_SAYS_MOST = ("auc", "accuracy", "r2", "d2", "log_loss", "mean_loss", "mean_deviance", "root_mean_squared_error")
_TONES = {"done": "good", "fitted": "good", "published": "good", "failed": "bad", "refused": "bad"}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A section as it stands on the page."""

    name: str
    title: str
    blocks: tuple[Block, ...]


def sections_of(facts: Facts) -> list[Shown]:
    """Return the sections that have something to say, in the order of the registry."""
    made = [(name, SECTIONS.get(name)) for name in SECTIONS]
    shown = [Shown(name=name, title=section.title, blocks=tuple(section.make(facts))) for name, section in made]
    return [section for section in shown if section.blocks]


def page(facts: Facts) -> str:
    """Return the page.

    Raises
    ------
    UsageError
        If the package that fills in templates is not there.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise UsageError(
            "a report needs the package jinja2, which is not installed; pip install 'mr_ml[report]'"
        ) from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.tests["drawn"] = lambda value: isinstance(value, Drawing)
    style = _resource(_STYLE)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    text = environment.from_string(_resource(_TEMPLATE)).render(
        title=facts.title,
        subtitle=_subtitle(facts),
        status=facts.status,
        tone=_TONES.get(facts.status, "caution"),
        key_figures=_key_figures(facts),
        sections=sections_of(facts),
        release=__version__,
        style=_Safe(style),
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )
    return text.lstrip()


class _Safe(str):
    """Text of our own that is markup already."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _finalize(value: Any) -> Any:
    """Spell what would not be seen, of text that is no markup."""
    return visible(value) if type(value) is str else value


def _resource(name: str) -> str:
    return resources.files("mr_ml.reports").joinpath(name).read_text(encoding="utf-8")


def _subtitle(facts: Facts) -> str:
    if facts.model is not None:
        return f"{facts.model.summary()}, trained on {facts.model.manifest['dataset']}"
    spec = facts.spec
    if spec is None:
        return "nothing was trained yet"
    publishes = facts.document is None or facts.document.publishes
    return f"{spec.title}, {f'to be {spec.model}' if publishes else 'the fit of an estimator'}, on {spec.dataset}"


def _key_figures(facts: Facts) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if facts.manifest is not None:
        training = facts.manifest.training
        found += [("rows", count(facts.manifest.n_rows)), ("features", count(facts.manifest.schema.n_features))]
        found += [("passes", count(training["passes"])), ("objective", number(training["objective"], 5))]
    else:
        if facts.dataset is not None:
            found += [("rows", count(facts.dataset.n_rows())), ("features", count(facts.dataset.schema.n_features))]
        if facts.log is not None and facts.log.passes:
            last = facts.log.passes[-1]
            found += [("passes so far", count(last["number"])), ("objective", number(float(last["objective"]), 5))]
    return [*found, *_metric_figures(facts)]


def _metric_figures(facts: Facts) -> list[tuple[str, str]]:
    decision = None if facts.manifest is None else facts.manifest.decision
    # rows that the model was not trained on say more
    held_out = [told for told in facts.evaluations if told["split"] != facts.settings.get("split", "train")]
    told = next(iter(held_out or facts.evaluations), None)
    if told is None:
        metrics, where = ({}, "") if decision is None else (decision.metrics, "test rows of the gate")
    else:
        metrics, where = told, f"{told['dataset']} {told['split']}"
    names = [name for name in _SAYS_MOST if isinstance(metrics.get(name), float)][:2]
    return [(f"{name.replace('_', ' ')} ({where})", number(metrics[name])) for name in names]
