#!/usr/bin/env python3
"""A check for Nagios and Icinga: how old the model in use is, and how its last retraining ended.

mr-ml status retrain.yaml --json | check_mr_ml.py --warning 2 --critical 7

Prints a line and exits with 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN. Ages are days since the last promotion.
"""

import argparse
import json
import sys

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def main() -> int:
    """Read, check and print; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check what mr-ml status --json says.")
    parser.add_argument("--warning", type=float, default=2.0, metavar="DAYS")
    parser.add_argument("--critical", type=float, default=7.0, metavar="DAYS")
    limits = parser.parse_args()
    try:
        status = json.loads(sys.stdin.read().splitlines()[-1])
        state, text, age = check(status, limits.warning, limits.critical)
    except (ValueError, KeyError, IndexError, TypeError):
        state, text, age = 3, "mr-ml status did not say anything: run it by hand", None
    # what stands behind | is for graphs; the text may not have one
    graph = "" if age is None else f" | age={age:.2f}d;{limits.warning:g};{limits.critical:g}"
    print(f"MR_ML {STATES[state]}: {' '.join(text.split()).replace('|', '/')}{graph}")
    return state


def check(status: dict, warning: float, critical: float) -> tuple[int, str, float | None]:
    """Return the code, what to say, and the age of the model in days."""
    last = status["last"] or {"outcome": "none", "reasons": [], "message": None, "window": None}
    why = last["message"] or "; ".join(last["reasons"])
    ended = f"last retraining ({last['window']}) {last['outcome']}{f': {why}' if why else ''}"
    if status["age_seconds"] is None:
        return 2, f"no version of {status['model']} is promoted; {ended}", None
    age = status["age_seconds"] / 86_400
    text = f"{status['promoted']} was promoted {age:.1f} days ago; {ended}"
    if age > critical:
        return 2, text, age
    is_worrying = age > warning or last["outcome"] in ("refused", "failed") or status["input_error"] is not None
    return (1 if is_worrying else 0), text, age


if __name__ == "__main__":
    sys.exit(main())
