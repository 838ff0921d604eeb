#!/usr/bin/env python3
"""Measure, compare, and write docs/benchmarks.md.

    scripts/bench/run.py                       everything at a tenth of the full size
    scripts/bench/run.py --factor 1            at full size: an hour, 4 GB of text, 8 GB of memory
    scripts/bench/run.py --only gap --kinds sparse --peers liblinear,spark
    scripts/bench/run.py --check               counts instead of seconds, for CI; exit code 1 if one is over its budget

Parts: gap (time to a relative gap of the objective, against the peers), pack, pass, predict, startup, scaling, memory.
Results gather in results.json of the folder, so that parts can be measured one by one; the page is written from it
(--only '' writes it again).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

# before numpy is loaded: one thread a process, for us and in the evaluation
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = ("gap", "pack", "pass", "predict", "startup", "scaling", "memory")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=0.1, help="of the rows of the reference sets (default 0.1)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,...", help="(default: all)")
    parser.add_argument(
        "--kinds", default="sparse,dense,narrow", metavar="KIND,...", help="(default: sparse,dense,narrow)"
    )
    parser.add_argument("--peers", default="", metavar="NAME,...", help="(default: all that are installed)")
    parser.add_argument(
        "--folder", type=Path, default=Path("bench_data"), help="data and results (default ./bench_data)"
    )
    parser.add_argument("--page", type=Path, default=CHECKOUT / "docs" / "benchmarks.md", help="where to write")
    parser.add_argument("--check", action="store_true", help="counts only, in a temporary folder")
    options = parser.parse_args()
    return check() if options.check else measure_all(options)


def check() -> int:
    import counts

    with tempfile.TemporaryDirectory() as folder:
        found = counts.count(Path(folder) / "work")
    print(counts.to_json(found))
    wrong = counts.exceeded(found)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


def measure_all(options: argparse.Namespace) -> int:
    import gaps
    import measure
    import parts
    import plots
    import report
    from optimum import reference

    folder: Path = options.folder.resolve()
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    problems = parts.problems_of(options.factor, folder, tuple(options.kinds.split(",")))
    only = [part for part in options.only.split(",") if part]
    if unknown := set(only) - set(PARTS):
        raise SystemExit(f"--only: expected parts of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}")
    results = report.load(folder)
    for part in (p for p in PARTS if p in only):
        before = measure.machine()
        if part == "gap":
            peers = [name for name in options.peers.split(",") if name]
            found = {
                kind: gaps.time_to_gap(
                    problem, reference(problem, say), work, rounds=options.rounds, only=peers, say=say
                )
                for kind, problem in problems.items()
            }
        elif part == "pack":
            found = parts.pack(problems, work, options.rounds)
        elif part == "pass":
            found = parts.passes(problems, work, options.rounds)
        elif part == "predict":
            found = parts.predict(problems, work, options.rounds)
        elif part == "startup":
            found = parts.startup(work, options.rounds)
        elif part == "scaling":
            found = parts.scaling(options.factor, folder, work, options.rounds)
        else:
            found = {kind: parts.memory(problem, work, options.rounds) for kind, problem in problems.items()}
        after = measure.machine()
        known = results.get(part, {})
        if part != "scaling" and (known.get("factor"), known.get("rounds")) == (options.factor, options.rounds):
            # kinds may be measured one by one
            found = {**known["found"], **found}
        results[part] = {
            "factor": options.factor, "rounds": options.rounds, "machine": before, "load_after": after["load"],
            "found": found,
        }  # fmt: skip
        parts.save(results, folder / report.RESULTS)
        say(f"{part}: done")
    pictures = plots.draw(results, options.page.with_suffix(""))
    options.page.write_text(report.page(results, pictures, folder=options.page.stem))
    say(f"wrote {options.page}")
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
