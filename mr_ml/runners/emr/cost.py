"""What a cluster costs, by the user's own prices: nobody is asked for any."""

from __future__ import annotations

from functools import lru_cache

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UnavailableError
from mr_ml.runners.emr.settings import EmrSettings


def price_an_hour(settings: EmrSettings) -> float | None:
    """Return the most that an hour of a cluster with these settings costs; None if there are no prices.

    A fleet counts as the dearest instances with which EMR may fill the units on demand and those of the spot market,
    each by themselves. Disks, S3 and traffic do not count.
    """
    if not settings.prices:
        return None
    prices = settings.prices
    groups = sum(group.count * prices[group.type] for group in settings.groups)
    fleets = sum(
        _dearest(units, tuple((weight, prices[name]) for name, weight in fleet.types.items()))
        for fleet in settings.fleets
        for units in (fleet.on_demand, fleet.spot)
    )
    return groups + fleets


@lru_cache
def _dearest(units: int, types: tuple[tuple[int, float], ...]) -> float:
    """Return the most that instances of these weights and prices cost, of which the last one reaches the units."""
    if not units:
        return 0.0
    most = [0.0] * units
    for filled in range(1, units):
        fitting = (most[filled - weight] + price for weight, price in types if weight <= filled)
        most[filled] = max(fitting, default=0.0)
    # it need not fit: EMR goes beyond the units by what is left of one instance
    return max(most) + max(price for _, price in types)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a cluster a command may use.

    Attributes
    ----------
    max_hours, max_cost
        None for no limit.
    """

    max_hours: float | None = None
    max_cost: float | None = None

    def check(self, *, hours: float, price: float | None) -> None:
        """Look whether another job may start.

        Parameters
        ----------
        hours
            That the command has had its cluster.
        price
            Of an hour.

        Raises
        ------
        UnavailableError
            If not.
        """
        if self.max_hours is not None and hours >= self.max_hours:
            raise UnavailableError(
                f"no further job: the cluster has been used for {hours:.2f} hours, and `max_hours` is "
                f"{self.max_hours:g}. {GO_ON}"
            )
        if self.max_cost is not None and price is not None and hours * price >= self.max_cost:
            raise UnavailableError(
                f"no further job: {hours:.2f} hours at {price:g} have cost {hours * price:.2f}, and `max_cost` is "
                f"{self.max_cost:g}. {GO_ON}"
            )


GO_ON = "Nothing half-written is visible; a training goes on with `mr-ml train --resume RUN`, with the same bits"
