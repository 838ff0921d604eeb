"""The decision: rules and facts, nothing else.

A check compares what was found with what is asked for; the candidate is accepted if all have passed. Checks against
the published model are left out where there is none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mr_ml.catalog.decision import Check, Decision
from mr_ml.readers.rows import excerpt, listed
from mr_ml.retraining.gate.checks import check
from mr_ml.retraining.gate.compare import comparison
from mr_ml.retraining.gate.facts import Drift, Facts, Measured, Move, SchemaChange, WindowFacts
from mr_ml.retraining.gate.rules import GateRules

# Values of features that appeared or vanished, in a row on average, below which they count for nothing.
_FEW_VALUES = 0.05
# As of drift: what happens by chance in one of so many nights is none.
_CHANCE = 1e-3
# Longer lists of metrics, such as a confusion of hundreds of classes, are not kept.
_LONGEST = 50


def judge(rules: GateRules, facts: Facts) -> Decision:
    """Decide whether the candidate may be promoted."""
    checks = tuple(_checks(rules, facts))
    measured = facts.measured
    return Decision(
        accepted=all(check.passed for check in checks),
        against=facts.published,
        checks=checks,
        metrics={} if measured is None else _kept(measured.metrics),
        published_metrics={} if measured is None else _kept(measured.published_metrics),
    )


def _checks(rules: GateRules, facts: Facts) -> Iterator[Check]:
    yield from _rows(rules, facts)
    if facts.window is not None:
        yield from _days(facts.window)
    yield from _labels(rules, facts)
    if facts.schema is not None:
        yield _schema(rules, facts.schema, is_known=facts.drift is not None)
    if facts.published is not None:
        yield from _drift(rules, facts, facts.drift)
    yield _converged(rules, facts.training)
    yield _finite(facts)
    yield from _bounds(rules, {} if facts.measured is None else facts.measured.metrics)
    if facts.published is not None and facts.measured is not None:
        yield from _orientation(facts.measured)
        yield comparison(rules, facts, facts.measured)


def _rows(rules: GateRules, facts: Facts) -> Iterator[Check]:
    if facts.window is not None:
        n, least = facts.n_all_rows, facts.window.least_rows
        yield check("rows", n >= least, f"{n}", f"at least {least}", rows=n, least=least)
    if facts.published_n_rows is not None and rules.max_row_change is not None:
        n, before, kept = facts.n_rows, facts.published_n_rows, 1 - rules.max_row_change
        yield check(
            "training rows",
            kept * before <= n <= before / kept,
            f"{n}, {n / max(before, 1):.2f} times the {before} of {facts.published}",
            f"{kept:.2f} to {1 / kept:.2f} times as many",
            rows=n,
            before=before,
            max_row_change=rules.max_row_change,
        )


def _days(window: WindowFacts) -> Iterator[Check]:
    files = defaultdict(list)
    for file in window.files:
        files[file.day].append(file)
    n, least = len(files), window.least_days
    lacking = f"; none of {listed(window.missing)}" if window.missing else ""
    yield check("days", n >= least, f"{n} with data{lacking}", f"at least {least}", days=n, least=least)
    yield check(
        "newest day",
        window.days_behind <= window.late_days,
        f"{max(files, default='none')}, {window.days_behind} days before the end of the window",
        f"at most {window.late_days} days before",
        days_behind=window.days_behind,
        late_days=window.late_days,
    )
    if window.published_last is not None:
        yield check(
            "last day",
            window.last >= window.published_last,
            window.last,
            f"not before {window.published_last}, the last day of the published model",
        )
    alike = defaultdict(list)
    for day, of_day in sorted(files.items()):
        alike[tuple(sorted((file.checksum, file.size) for file in of_day))].append(day)
    doubled = [days for days in alike.values() if len(days) > 1]
    found = "; ".join(f"{' = '.join(days)}" for days in doubled[:3])
    yield check(
        "doubled days",
        not doubled,
        f"days whose files are the same: {found}" if doubled else "none",
        "no two days with the same files",
        doubled=sum(len(days) - 1 for days in doubled),
    )


def _labels(rules: GateRules, facts: Facts) -> Iterator[Check]:
    present = {label: rows for label, rows in facts.labels.items() if rows}
    if not facts.labels:
        return
    yield check(
        "classes",
        len(present) > 1,
        listed(sorted(present)),
        "at least two labels",
        **{f"rows of {excerpt(label.encode())}": rows for label, rows in list(present.items())[:_LONGEST]},
    )
    yield from _test_labels(present, {label: rows for label, rows in facts.test_labels.items() if rows})
    if facts.published_labels and rules.labels == "same":
        known = set(facts.published_labels)
        new, gone = sorted(present.keys() - known), sorted(known - present.keys())
        said = [f"new: {listed(new)}"] * bool(new) + [f"gone: {listed(gone)}"] * bool(gone)
        yield check(
            "labels", not said, "; ".join(said) or "the same", f"those of {facts.published}", new=len(new),
            gone=len(gone),
        )  # fmt: skip


def _test_labels(labels: Mapping[str, int], tested: Mapping[str, int]) -> Iterator[Check]:
    """Check that test rows of one label only are so by chance: on them, who predicts that label looks best.

    A feed whose labels come later than its rows gives such a day; so does a row that is there thousands of times.
    """
    n = sum(tested.values())
    if not n or len(labels) < 2:
        return
    chance = (max(labels.get(label, 0) for label in tested) / sum(labels.values())) ** n if len(tested) == 1 else 1.0
    yield check(
        "test labels",
        chance >= _CHANCE,
        listed(sorted(tested)) + (f" in all {n} test rows" if len(tested) == 1 else ""),
        "two labels at least, unless chance explains one",
        rows=n,
        chance=chance,
    )


def _schema(rules: GateRules, change: SchemaChange, *, is_known: bool) -> Check:
    """Check what has changed; how often something was there is known only if the published model's rows are."""
    strict, watched = rules.schema == "same", rules.schema != "any"
    changes = [(watched, setting) for setting in change.settings]
    if change.appeared_rate >= _FEW_VALUES:
        changes.append((strict, f"{change.n_appeared} features appeared, such as {listed(change.appeared)}"))
    if change.vanished_rate >= _FEW_VALUES:
        changes.append((watched, f"{change.n_vanished} features vanished, such as {listed(change.vanished)}"))
    if change.reordered:
        changes.append((strict, "the features are in another order"))
    faults = [said for is_fault, said in changes if is_fault]
    found = "the same" if is_known else "the same columns; how often each was there before is not known"
    if change.n_appeared or change.n_vanished:
        found = f"{change.n_appeared} features appeared and {change.n_vanished} vanished, all of them rare"
        found += "" if is_known else " as far as is known"
    return check(
        "schema",
        not faults,
        "; ".join(faults or [said for _, said in changes]) or found,
        {"same": "the same", "may_grow": "no feature vanished", "any": "anything"}[rules.schema],
        appeared=change.n_appeared,
        appeared_per_row=change.appeared_rate,
        vanished=change.n_vanished,
        vanished_per_row=change.vanished_rate,
    )


def _drift(rules: GateRules, facts: Facts, drift: Drift | None) -> Iterator[Check]:
    limits = rules.max_psi
    if drift is None:
        yield check("drift", True, f"not known: the training rows of {facts.published} are gone", "not judged")
        return
    if facts.labels:
        yield from _moved("class balance", _one(drift.classes), limits.classes, "share of rows", n=1)
    else:
        yield from _moved(
            "label mean", _one(drift.label), rules.max_mean_shift, "mean", n=1, unit=" standard deviations"
        )
    yield from _moved("presence", drift.presence, limits.presence, "share of rows", n=drift.n_features)
    yield from _moved("missing values", drift.missing, limits.missing, "share of rows", n=drift.n_columns)
    yield from _moved(
        "means", drift.means, rules.max_mean_shift, "mean", n=drift.n_features, unit=" standard deviations"
    )
    yield from _moved("values", drift.values, limits.values, "share above the middle", n=drift.n_ranged)


def _one(move: Move | None) -> tuple[Move, ...] | None:
    return None if move is None else (move,) if move.by > 0 else ()


def _moved(
    name: str, moves: Sequence[Move] | None, limit: float | None, of: str, *, n: int, unit: str = ""
) -> Iterator[Check]:  # fmt: skip
    if limit is None or moves is None or not n:
        return
    beyond = [move for move in moves if not move.by <= limit]
    shown = beyond or list(moves[:1])
    found = "; ".join(
        f"{excerpt(move.what.encode())} {move.by:.3g} ({of} {move.before:.4g} before, {move.now:.4g} now)"
        for move in shown
    )
    yield check(
        name,
        not beyond,
        found or "nothing beyond chance",
        f"at most {limit:g}{unit}",
        most=moves[0].by if moves else 0.0,
        limit=limit,
        compared=n,
        **{key: value for move in shown[:1] for key, value in (("before", move.before), ("now", move.now))},
    )


def _converged(rules: GateRules, training: Mapping[str, Any]) -> Check:
    passed = bool(training["converged"]) or not rules.require_converged
    expected = "converged" if rules.require_converged else "not judged"
    return check("convergence", passed, str(training["stop"]), expected, passes=training.get("passes"))


def _finite(facts: Facts) -> Check:
    measured = facts.measured
    faults = [name for name in ("objective", "gradient_norm") if not math.isfinite(facts.training.get(name, 0.0))]
    found = "all finite"
    if measured is not None:
        faults += [name for name, n in measured.metrics.items() if isinstance(n, float) and not math.isfinite(n)]
        found = measured.fault or found
    if faults:
        found = f"not finite: {', '.join(faults)}"
    passed = not faults and (measured is None or measured.fault is None)
    return check("metrics", passed, found, "finite numbers", rows=None if measured is None else measured.n_rows)


def _bounds(rules: GateRules, metrics: Mapping[str, Any]) -> Iterator[Check]:
    for name, bounds in sorted(rules.bounds.items()):
        low, high = bounds.min, bounds.max
        said = [f"{of} {bound:g}" for of, bound in (("at least", low), ("at most", high)) if bound is not None]
        value = metrics.get(name)
        expected = " and ".join(said) or "any number"
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield check(f"{name} bounds", False, f"the candidate has no {name}", expected, min=low, max=high)
            continue
        # a metric that is not a number is within no bounds
        passed = (low is None or value >= low) and (high is None or value <= high) and not math.isnan(value)
        yield check(f"{name} bounds", passed, f"{value:.6g}", expected, value=value, min=low, max=high)


def _orientation(measured: Measured) -> Iterator[Check]:
    """Check that the published model is no worse than chance: else the labels of these rows are turned around.

    Of n and m rows of two classes the area under the curve by chance is 1/2 with a variance of (n + m + 1) / (12 n m)
    (Hanley & McNeil 1982).
    """
    area, confusion = measured.published_metrics.get("auc"), measured.published_metrics.get("confusion")
    if area is None or confusion is None or len(confusion) != 2:
        return
    one, other = (max(sum(row) / measured.published_metrics["weight_sum"], 0.0) for row in confusion)
    n, m = one * measured.n_rows, other * measured.n_rows
    least = 0.5 - 3 * math.sqrt((n + m + 1) / (12 * n * m)) if n * m > 0 else 0.0
    yield check(
        "label order",
        area >= least,
        f"the published model has auc {area:.4g} on these rows",
        f"at least {least:.4g}; less means that labels are swapped",
        auc=area,
        least=least,
    )


def _kept(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold, without long lists and tables."""
    kept: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, list) and (len(value) > _LONGEST or any(isinstance(of, dict) for of in value)):
            continue
        kept[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return kept
