"""Everything that a decision depends on, found by one pass over the test rows and one over the training rows."""

from __future__ import annotations

from dataclasses import replace

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.models.base import Model
from mr_ml.retraining.gate.drift import drift, ranges_in, schema_change
from mr_ml.retraining.gate.facts import Facts, WindowFacts
from mr_ml.retraining.gate.kept import RunPass, run_anew
from mr_ml.retraining.gate.measure import measure
from mr_ml.retraining.gate.profile import Profile, count_in, profile_of, published_profile, ranged
from mr_ml.retraining.gate.rules import GateRules
from mr_ml.session import Session


@dataclass(frozen=True, eq=False, kw_only=True)
class Gathered:
    """What was found.

    Attributes
    ----------
    facts
        For `judge`.
    profile
        What the candidate's training rows are like, for `save_profile`: the next candidate is held against them.
    """

    facts: Facts
    profile: Profile


def gather(
    session: Session, rules: GateRules, *, candidate: Model, published: Model | None, dataset: Dataset,
    test: str = "test", window: WindowFacts | None = None, row_weights: bool = True,
    run_pass: RunPass = run_anew,
) -> Gathered:  # fmt: skip
    """Find out what `judge` must know of a candidate.

    Parameters
    ----------
    candidate, published
        The model that was fitted, and the one that is in use, if there is one.
    dataset
        Which the candidate was fitted on.
    test
        The split on which both are measured.
    window
        The days of the dataset, if it is of a window.
    row_weights
        Whether those of the test rows count, if they have any.
    run_pass
        By which both passes are run.

    Raises
    ------
    UsageError
        If the dataset has no such split.
    BadDataError
        If the dataset, or what is kept of the published model, is damaged.
    StorageError
        If something cannot be read.
    """
    train = candidate.manifest["spec"]["split"]
    measured = measure(session, candidate, published, dataset, test, row_weights=row_weights, run_pass=run_pass)
    profile = profile_of(session.root, dataset, train)
    before = None if published is None else published_profile(session.root, published)
    asked = [ranged(profile)]
    theirs = None
    if published is not None and before is not None and before.ranges is not None:
        theirs = ranges_in(
            before.ranges, schema=dataset.schema, published_schema=published.schema, unwatched=rules.unwatched
        )
        asked.append(theirs)
    counts = count_in(session, dataset, train, asked, run_pass=run_pass)
    profile = replace(profile, ranges=replace(asked[0], counts=counts[0]))
    moved = changed = None
    if published is not None:
        changed = schema_change(profile, before, schema=dataset.schema, published_schema=published.schema)
        if before is not None:
            moved = drift(
                profile, before, schema=dataset.schema, published_schema=published.schema, unwatched=rules.unwatched,
                counts=None if theirs is None else counts[1],
            )  # fmt: skip
    facts = Facts(
        published=None if published is None else published.reference,
        n_rows=dataset.n_rows(train),
        n_all_rows=dataset.n_rows(),
        published_n_rows=None if published is None else published.manifest["n_rows"],
        labels=dataset.label_counts[train] if candidate.classes else {},
        test_labels=dataset.label_counts[test] if candidate.classes else {},
        published_labels=() if published is None else tuple(published.label_texts),
        label_mean=None if candidate.classes else profile.label_mean,
        label_deviation=None if candidate.classes else profile.label_deviation,
        training=candidate.manifest["training"],
        measured=measured,
        window=window,
        drift=moved,
        schema=changed,
    )
    return Gathered(facts=facts, profile=profile)
