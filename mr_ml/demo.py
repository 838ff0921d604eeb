"""Rows to try mr_ml on: invented customers of a phone company, and which of them left it.

They are drawn by the seeded generator of the standard library, so that they are the same everywhere. What they are
drawn by is known, and printed beside what a model finds:

    log-odds of leaving = 0.4 + EFFECTS[contract] + EFFECTS[country]
                          - 0.08 months + 0.35 support_calls + 0.03 monthly_fee
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hdfs_layout.faults import storage_error
from mr_ml.errors import UsageError

N_CUSTOMERS, N_NEW = 5000, 20
EFFECTS = {"monthly": 0.6, "yearly": -0.3, "two-year": -0.9, "CH": 0.0, "DE": 0.2, "FR": -0.2, "IT": 0.1}
SLOPES = {"months": -0.08, "support_calls": 0.35, "monthly_fee": 0.03}
_INTERCEPT = 0.4
_CONTRACTS, _COUNTRIES = ("monthly", "yearly", "two-year"), ("CH", "DE", "FR", "IT")
_NOT_FILLED_IN = 0.04


def write(folder: Path) -> tuple[Path, Path]:
    """Write customers.csv, and new_customers.csv without the column `left`; return their paths.

    Raises
    ------
    UsageError
        If one of the files is there already.
    StorageError
        If they cannot be written.
    """
    files = folder / "customers.csv", folder / "new_customers.csv"
    for file in files:
        if file.exists():
            raise UsageError(f"demo: {file} is there already; remove the folder, or name another one")
    rows = list(_customers(N_CUSTOMERS + N_NEW))
    known, new = rows[:N_CUSTOMERS], [{k: v for k, v in row.items() if k != "left"} for row in rows[N_CUSTOMERS:]]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, customers in zip(files, (known, new), strict=True):
            # whole, or not there
            part = file.with_name(f".{file.name}.part")
            try:
                with part.open("w", encoding="utf-8", newline="") as out:
                    writer = csv.DictWriter(out, list(customers[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(customers)
                part.rename(file)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, doing="write the demo's rows to", place=str(folder)) from error
    return files


def _customers(n: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(20261101)  # noqa: S311 (nothing is to be kept secret)
    for number in range(n):
        contract = _CONTRACTS[draw.randrange(3)]
        country = _COUNTRIES[draw.randrange(4)]
        months = draw.randrange(1, 73)
        support_calls = min(int(-1.5 * math.log(1 - draw.random())), 9)
        monthly_fee = round(15 + 60 * draw.random(), 2)
        log_odds = _INTERCEPT + EFFECTS[contract] + EFFECTS[country]
        log_odds += SLOPES["months"] * months + SLOPES["support_calls"] * support_calls
        log_odds += SLOPES["monthly_fee"] * monthly_fee
        left = draw.random() * (1 + math.exp(-log_odds)) < 1
        # not every fee was entered
        fee = "" if draw.random() < _NOT_FILLED_IN else monthly_fee
        yield {
            "customer": f"C{number + 1:05d}", "country": country, "contract": contract, "months": months,
            "support_calls": support_calls, "monthly_fee": fee, "left": "yes" if left else "no",
        }  # fmt: skip
