"""Whether the candidate is shown to be not worse than the published model: one-sided non-inferiority.

    worse     the candidate's metric less the published model's; of accuracy the other way round
    at worst  worse + t s, with the standard error s of the paired differences and Student's quantile t
    allowed   margin |published model's metric|, and of numbers at least an error that is none

An error is none if it is below sqrt(e) standard deviations of the labels, or what rounding makes of their mean, 16 e
times that, with the machine precision e: so of two models that fit exactly neither is worse.

The candidate passes if at worst <= allowed. Too few rows leave s large: that is no sign of a bad candidate, and the
check says so, with about how many rows would do: those for which t s is what is left of the margin.
"""

from __future__ import annotations

import math
import sys

from mr_ml.catalog.decision import Check
from mr_ml.models.paired import HIGHER, Difference
from mr_ml.retraining.gate.checks import check
from mr_ml.retraining.gate.facts import Facts, Measured
from mr_ml.retraining.gate.rules import GateRules

# What training minimises: the first that both models have; all that predict numbers have the last.
_MINIMISED = ("log_loss", "mean_deviance", "mean_loss", "mean_squared_error")
# Of numbers: the power of the labels' unit in which they are.
_POWER = {"mean_squared_error": 2, "mean_absolute_error": 1}
_ROUNDINGS = 16


def comparison(rules: GateRules, facts: Facts, measured: Measured) -> Check:
    """Compare the candidate with the published model on the same rows."""
    metric = rules.metric or _minimised(measured)
    name = f"{metric} against {facts.published}"
    expected = f"worse by at most {100 * rules.margin:g} %, with {100 * rules.confidence:g} % confidence"
    new = sorted(label for label, rows in facts.labels.items() if rows and label not in facts.published_labels)
    if rules.labels == "any" and facts.published_labels and new:
        found = f"not compared: {facts.published} does not know all labels"
        return check(name, True, found, expected)
    difference = measured.differences.get(metric)
    fault = measured.fault or measured.published_fault
    if fault is None and difference is None:
        fault = f"the models have no {metric} in common"
    if fault is not None or difference is None:
        return check(name, False, f"cannot be compared: {fault}", expected)
    one, other = measured.metrics[metric], measured.published_metrics[metric]
    allowed = max(rules.margin * abs(other), _no_error(metric, facts))
    return _compared(rules, metric, name, expected, difference, (one, other), allowed)


def _minimised(measured: Measured) -> str:
    """Return the metric that is compared where the rules name none."""
    known = measured.differences or measured.metrics
    return next((metric for metric in _MINIMISED if known.get(metric) is not None), _MINIMISED[-1])


def _no_error(metric: str, facts: Facts) -> float:
    """Return the greatest value of a metric that is none; 0 for metrics of classes."""
    power = _POWER.get(metric)
    if power is None or facts.label_mean is None or facts.label_deviation is None:
        return 0.0
    precision = sys.float_info.epsilon
    rounding = _ROUNDINGS * precision * abs(facts.label_mean)
    return float(max(math.sqrt(precision) * facts.label_deviation, rounding) ** power)


def _compared(
    rules: GateRules, metric: str, name: str, expected: str, difference: Difference, metrics: tuple[float, float],
    allowed: float,
) -> Check:  # fmt: skip
    candidate, published = metrics
    worse = -difference.mean if metric in HIGHER else difference.mean
    half_width = difference.half_width(rules.confidence)
    at_worst = worse + half_width
    # not the other way round: what is not a number does not pass
    passed = at_worst <= allowed
    found = (
        f"{candidate:.6g} against {published:.6g}, {'worse' if worse > 0 else 'better'} by {abs(worse):.3g}, at worst "
        f"worse by {at_worst:.3g}; {allowed:.3g} is allowed"
    )
    numbers = {
        "candidate": candidate,
        "published": published,
        "worse": worse,
        "standard_error": difference.standard_error,
        "at_worst": at_worst,
        "allowed": allowed,
        "margin": rules.margin,
        "confidence": rules.confidence,
        "rows": difference.n_rows,
        "effective_rows": difference.effective_rows,
    }
    if not passed and worse < allowed:
        found = f"too few test rows to show that it is no worse: {found}; {difference.n_rows} rows"
        if math.isfinite(half_width):
            needed = difference.n_rows * (half_width / (allowed - worse)) ** 2
            numbers["rows_needed"] = needed
            found += f", about {_round(needed)} would be enough"
    return check(name, passed, found, expected, **numbers)


def _round(rows: float) -> str:
    """Round up to two digits."""
    if not math.isfinite(rows) or rows > 1e15:
        return "no number of"
    unit = 10 ** max(len(str(int(rows))) - 2, 0)
    return str(math.ceil(rows / unit) * unit)
