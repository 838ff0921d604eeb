"""What a tuning tried, and what it chose."""

from __future__ import annotations

from collections.abc import Iterator

from mr_ml.catalog.tuning import Tried, Tuned
from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Chart, Paragraph, Table
from mr_ml.reports.drawing import Axis, Plot
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import count, number

_MOST = 100


def _blocks(facts: Facts) -> Iterator[Block]:
    tuned = facts.manifest.tuned if facts.manifest is not None else None
    if tuned is None and facts.log is not None:
        tuned = facts.log.tuned
    if tuned is None:
        if facts.document is not None and facts.document.tuning is not None:
            n = len(facts.document.tuning.candidates)
            yield Paragraph(text=f"{count(n)} candidates are compared; the table comes when the tuning has ended.")
        return
    metric, better = tuned.metric.replace("_", " "), "more" if tuned.higher else "less"
    rule = {
        "best": "The best mean was chosen.",
        "one-se": "Of those within one standard error of the best mean the most penalised was chosen.",
    }[tuned.rule]
    yield Paragraph(
        text=f"{count(len(tuned.tried))} candidates, judged by {metric} ({better} is better) in {count(tuned.passes)} "
        f"passes for all together. {rule}"
    )
    judged = [(k, one) for k, one in enumerate(tuned.tried) if one.mean is not None]
    if judged:
        yield _chart(tuned, judged)
    rows = [
        [
            count(k + 1), _words(one), number(one.mean, 6), number(one.standard_error, 2), count(one.passes),
            _remark(tuned, k),
        ]
        for k, one in enumerate(tuned.tried)
    ]  # fmt: skip
    shown = sorted({*range(min(len(rows), _MOST)), tuned.chosen})
    yield Table(
        caption="Candidates" + (f"; {len(rows) - len(shown)} are left out" if len(shown) < len(rows) else ""),
        header=["", "candidate", metric, "std. error", "passes", ""],
        rows=[rows[k] for k in shown],
        left=(1, 5),
        heavy=[shown.index(tuned.chosen)],
    )


def _chart(tuned: Tuned, judged: list[tuple[int, Tried]]) -> Chart:
    name = tuned.metric.replace("_", " ")
    varied = _varied(tuned)
    xs = [float(k + 1) if varied is None else float(one.options[varied]) for k, one in judged]
    means = [one.mean or 0.0 for _, one in judged]
    errors = [one.standard_error or 0.0 for _, one in judged]
    ends = [mean + sign * error for mean, error in zip(means, errors, strict=True) for sign in (-1, 1)]
    by = "candidate" if varied is None else varied
    chosen = next((at for at, (k, _) in enumerate(judged) if k == tuned.chosen), 0)
    is_log = varied is not None and min(xs) > 0 and max(xs) >= 20 * min(xs)
    plot = Plot(
        "tuning",
        title=f"{name} by {by}",
        description=f"The mean of each candidate over its folds, from {min(means):.6g} to {max(means):.6g}; chosen was "
        f"{means[chosen]:.6g}",
        x=Axis.over(xs, label=by, log=is_log, whole=varied is None),
        y=Axis.over(ends, label=name),
    )
    order = sorted(range(len(xs)), key=lambda at: xs[at])
    for at in order:
        plot.whisker(xs[at], means[at] - errors[at], means[at] + errors[at])
    joined = "" if varied is not None else "unseen"
    plot.line([xs[at] for at in order], [means[at] for at in order], looks=joined, dots=True)
    plot.mark(xs[chosen], means[chosen])
    return Chart(
        drawing=plot.drawing(),
        caption="Means over folds, one standard error to either side; the ring is around the one that was chosen.",
    )


def _varied(tuned: Tuned) -> str | None:
    """Return the only choice in which the candidates differ, if it is a number of each."""
    names = {name for one in tuned.tried for name in one.options}
    differing = [name for name in names if len({str(one.options.get(name)) for one in tuned.tried}) > 1]
    if len(differing) != 1:
        return None
    values = [one.options.get(differing[0]) for one in tuned.tried]
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return differing[0] if are_numbers else None


def _words(one: Tried) -> str:
    shown = (f"{name} {number(value)}" for name, value in one.options.items())
    return ", ".join(shown) or "as given"


def _remark(tuned: Tuned, k: int) -> str:
    one = tuned.tried[k]
    remarks = ["chosen"] if k == tuned.chosen else []
    if one.dropped is not None:
        remarks.append(f"dropped at cut {one.dropped + 1}")
    if not one.converged:
        remarks.append("did not converge")
    return ", ".join(remarks)


CANDIDATES = Section(title="Tuning", make=_blocks)
