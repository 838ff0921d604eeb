"""mr-ml demo."""

from __future__ import annotations

import argparse
import shlex
from itertools import islice
from pathlib import Path

from mr_ml import demo
from mr_ml.cli import main
from mr_ml.cli.common import narrator, print_result, table


def run(options: argparse.Namespace) -> int:
    """Write rows, and run the commands on them that a newcomer needs, saying each."""
    folder = Path(options.folder)
    # what is told is a part of the result, and stands between what the commands print
    say = narrator(options) if options.json or options.quiet else _print
    customers, new = map(str, demo.write(folder))
    root = str(folder / "mr_ml_data")
    say(f"wrote {customers}: {demo.N_CUSTOMERS} invented customers of a phone company, and which of them left it")
    commands = (
        ("pack once: text to blocks; four customers in five to train on, the others to test on", (
            "pack", customers, "--to", "customers", "--label-column", "left", "--drop", "customer",
            "--missing", "value:45", "--split", "train=0.8,test=0.2", "--seed", "7",
        )),
        ("train: passes over the blocks until a rule says why it stops",
         ("train", "customers", "--model", "churn", "--l2", "1e-4")),
        ("how good is it on the customers that it has not seen?",
         ("evaluate", "churn", "customers", "--split", "test")),
        ("what has it learnt?", ("models", "show", "churn")),
        ("who will leave? a line for each new customer",
         ("predict", "churn", new, "--to", str(folder / "predictions.tsv"))),
    )  # fmt: skip
    for title, words in commands:
        say(f"\n== {title}\n$ mr-ml {shlex.join([*words, '--root', root])}")
        code = main([*words, "--root", root, *(["--quiet"] if options.quiet else [])])
        if code:
            return code
    with (folder / "predictions.tsv").open(encoding="utf-8") as predictions:
        header, *first = [line.rstrip("\n").split("\t") for line in islice(predictions, 4)]
    say(f"the first of them:\n{table(header, first)}")
    effects = ", ".join(f"{name} {effect:+}" for name, effect in (demo.EFFECTS | demo.SLOPES).items())
    say(
        f"\nThe customers were drawn by log-odds of leaving with {effects}; of contracts and countries only "
        "differences count. Compare with the coefficients above."
    )
    where = shlex.quote(str(folder.resolve() / "mr_ml_data"))
    print_result(
        options,
        {"folder": str(folder), "root": root, "dataset": "customers", "model": "churn"},
        f"\nTo go on: export MR_ML_ROOT={where}; mr-ml train customers --model churn --l2 1e-2; mr-ml --help",
    )
    return 0


def _print(text: str) -> None:
    print(text, flush=True)
