"""The spec of a linear model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_PASS
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.base import TrainSpec
from mr_ml.models.linear.kind.per_feature import check_rules
from mr_ml.models.linear.losses import LOSSES, PARAMETERS, loss_from_text, name_in
from mr_ml.optimize.choose import choose

if TYPE_CHECKING:
    from mr_ml.models.prior import Prior


@dataclass(frozen=True)
class LinearSpec(TrainSpec):
    """What the user chose; together with the dataset's data it determines the model.

    Attributes
    ----------
    loss
        Its name, or with parameters ``name:parameter=value,...``.
    l2
        Relative to the mean loss; acts on coefficients in raw feature space or, with penalty_space "scaled", on those
        of features divided by their standard deviation.
    class_weights
        "balanced", or label=factor pairs as text, or None.
    l1
        As `l2`, of the sum of absolute coefficients, and makes some of them 0.
    non_negative
        Whether no coefficient may be negative.
    per_feature
        By the name of a feature what holds for its coefficients: `factor` of `l1` and `l2`; `lower` and `upper` bound;
        `prior_mean` and `prior_precision`, relative to the mean loss. None for nothing.
    solver
        Known where the model is trained, not wherever it is read: its package need not be installed there.
    """

    kind: ClassVar[str] = "linear"
    may_lack: ClassVar[frozenset[str]] = TrainSpec.may_lack | {"l1", "non_negative", "per_feature"}
    limits: ClassVar[frozenset[str]] = frozenset({"max_passes", "tolerance"})

    loss: Annotated[str, stored.registered(LOSSES, name_in)] = "logistic"
    l2: stored.NotNegative = 0.0
    penalty_space: Literal["raw", "scaled"] = "raw"
    intercept: bool = True
    row_weights: bool = True
    class_weights: Annotated[str, stored.matching(r"(?s)balanced|.*=.*", "'balanced' or LABEL=FACTOR,...")] | None = (
        None
    )
    solver: stored.Name = "auto"
    tolerance: stored.NotNegative = 1e-6
    max_passes: Annotated[int, stored.at_least(1), stored.at_most(MAX_PASS)] = 500
    l1: stored.NotNegative = 0.0
    non_negative: bool = False
    per_feature: Mapping[str, Mapping[str, float]] | None = None

    @property
    def title(self) -> str:
        """The loss."""
        return self.loss

    @property
    def penalty(self) -> str:
        """How coefficients are penalised and bounded, in a few words; empty if they are not."""
        words = [f"{name} {strength:g}" for name, strength in (("l1", self.l1), ("l2", self.l2)) if strength]
        if words and self.penalty_space == "scaled":
            words[-1] += " scaled"
        bounded = ["not negative"] if self.non_negative else []
        return ", ".join([*words, *bounded, *(["rules by feature"] if self.per_feature is not None else [])])

    @property
    def strictness(self) -> tuple[float, ...]:
        """How much is penalised."""
        return (self.l1, self.l2)

    @property
    def weighs_deviations(self) -> bool:
        """Whether the penalty refers to standard deviations by row weights, where rows have some."""
        return (
            self.row_weights
            and self.penalty_space == "scaled"
            and (self.l1 > 0 or self.l2 > 0 or self.per_feature is not None)
        )

    @property
    def no_inference(self) -> str | None:
        """Why a model of this spec has no standard errors; None if it may have some."""
        if any(self.strictness):
            return (
                "a penalty pulls coefficients towards 0, so that they are biased by an amount that nobody knows, and "
                f"no interval around them is one for the truth; train without `{'l1' if self.l1 else 'l2'}`"
            )
        if self.non_negative or self.per_feature is not None:
            without = ["`non_negative`"] if self.non_negative else self._rules_of
            return (
                "bounds and priors of coefficients make their distribution another one than standard errors are about; "
                f"train without {' and '.join(without)}"
            )
        return None

    @property
    def _rules_of(self) -> list[str]:
        """What rules of single features may come from: those of an earlier model are priors and nothing else."""
        rules = (self.per_feature or {}).values()
        by_model = any(rule.keys() == {"prior_mean", "prior_precision"} for rule in rules)
        by_hand = any(rule.keys() != {"prior_mean", "prior_precision"} for rule in rules)
        if by_model and not by_hand:
            return ["`prior` (or priors of `per_feature`)"]
        return [*(["`prior`"] if by_model else []), "`per_feature`"]

    def check_stored(self) -> None:
        """Raise ValueError if the loss does not have these parameters, or no feature can be what is said of it."""
        if self.per_feature is not None:
            check_rules(self.per_feature)
        if self.loss in LOSSES.built_in and self.loss not in PARAMETERS:
            # which loads none of them
            return
        try:
            loss_from_text(self.loss)
        except UsageError as error:
            raise ValueError(str(error)) from None

    def with_prior(self, prior: Prior) -> LinearSpec:
        """Return the spec with an earlier model's coefficients as prior; see `mr_ml.models.linear.kind.prior`."""
        from mr_ml.models.linear.kind.prior import with_prior

        return with_prior(self, prior)

    def check_choices(self) -> None:
        """Raise UsageError if there is no such solver, or it cannot have such a penalty."""
        bounded = self.non_negative or any(
            said.keys() & {"lower", "upper"} for said in (self.per_feature or {}).values()
        )
        choose(
            self.solver, size=1, tolerance=self.tolerance, max_passes=self.max_passes, smooth=not (self.l1 or bounded)
        )

    def check_classes(self, classes: Sequence[float]) -> None:
        """Raise ValueError if a model of this loss cannot have these classes."""
        try:
            loss_from_text(self.loss).n_outputs(len(classes))
        except UsageError as error:
            raise ValueError(str(error)) from None
