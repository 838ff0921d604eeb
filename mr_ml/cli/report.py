"""mr-ml report."""

from __future__ import annotations

import argparse

from mr_ml.cli.common import print_result, root_of
from mr_ml.reports.api import report


def run(options: argparse.Namespace) -> None:
    """Write the page."""
    page = report(root_of(options), options.reference, options.output)
    found = {"reference": options.reference, "output": options.output, "bytes": len(page.encode("utf-8"))}
    print_result(options, found, f"{options.output}: the report of {options.reference}")
