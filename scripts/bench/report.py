"""docs/benchmarks.md from the results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaps import PATIENCE_SECONDS

RESULTS = "results.json"
Result = dict[str, Any]

HEAD = f"""\
# Benchmarks

Written by `scripts/bench/run.py`; do not edit. `scripts/bench/generate.py` makes the data (seeded, the same bytes
everywhere), `scripts/bench/peers.py` runs the others, each a whole cold process from a text file in the page cache to
saved coefficients. Gaps are computed by the suite from those coefficients with scipy, relative to an optimum known to
1e-10. Every program's number of passes, iterations or tolerance is the least of a ladder that reaches the gap; and
each is run as it comes, by its defaults. "mr-ml, cold" is one command, `mr-ml train FILE`, which packs and trains;
"mr-ml, packed" is `mr-ml train` of a dataset that was packed before. All have all processors. Dense rows are read as
CSV by ours and by the combinations of a reader and a solver, as libsvm text by the others. Memory is the largest sum
of proportional set sizes over all of a program's processes.

A ladder ends with its first run of over {PATIENCE_SECONDS:.0f} s. "not in 120" is how long a program's last run took
where none reached the gap, and beside it stands the least gap of all. Programs run in turns; figures are medians, and
ratios medians over the rounds.

Seconds are good for comparing within one table only. A load above the number of processors says that other work
was running: the processor seconds then say more than the wall clock.
"""


def load(folder: Path) -> Result:
    path = folder / RESULTS
    found: Result = json.loads(path.read_text()) if path.is_file() else {}
    return found


def page(results: Result, pictures: Mapping[str, Sequence[str]], *, folder: str) -> str:
    """The whole page, with the pictures of each part, which lie in a folder beside it."""
    sections = [HEAD]
    for part, title, body in (
        ("gap", "Time to a gap", _gap),
        ("pack", "pack", _pack),
        ("pass", "One pass", _pass),
        ("predict", "predict", _predict),
        ("startup", "Start-up", _startup),
        ("scaling", "Scaling", _scaling),
        ("memory", "Larger than memory", _memory),
    ):
        if part in results:
            shown = [f"![{name.removesuffix('.svg')}]({folder}/{name})" for name in pictures.get(part, ())]
            parts = [f"## {title}", _where(results[part]), *body(results[part]["found"]), *shown]
            sections.append("\n\n".join(parts) + "\n")
    return "\n".join(sections)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _where(result: Result) -> str:
    m = result["machine"]
    return (
        f"Factor {result['factor']:g} of the full size, {result['rounds']} rounds. {m['processor']}; {m['memory']}; "
        f"{m['system']}; load before {m['load']}, after {result['load_after']}."
    )


def _mb(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:,.0f}"


def _gap(found: Result) -> Iterator[str]:
    for kind, result in found.items():
        p = result["problem"]
        size = f"{p['n_rows']:,} x {p['n_features']:,}, {p['nnz']:,} non-zeros, {_mb(p['text_bytes'])} MB of text"
        yield f"### {kind}: {size}"
        yield table(
            ["program", "gap", "wall s", "cpu s", "peak MB", "gap reached"],
            [
                [r["program"], r["gap"], f"not in {r['wall']:.0f}", "", "", f"{r['reached']:.1e}"]
                if "key" not in r
                else [
                    r["program"], r["gap"], f"{r['wall']:.2f}", f"{r['cpu']:.2f}", _mb(r["peak_bytes"]),
                    f"{r['reached']:.1e}",
                ]
                for r in result["rows"]
            ],
        )  # fmt: skip
        yield table(
            ["ours", "gap", "fastest peer", "wall ratio", "thriftiest peer", "cpu ratio"],
            [
                [r["program"], r["gap"], r["peer"], f"{r['ratio']:.2f}", r["cpu_peer"], f"{r['cpu_ratio']:.2f}"]
                for r in result["ratios"]
            ],
        )
        yield "\n".join(_verdicts(result["ratios"]))
        yield table(
            ["each by its defaults", "gap reached", "peer", "gap it reached", "wall ratio", "cpu ratio"],
            [
                [
                    r["program"], f"{r['reached']:.1e}", r["peer"], f"{r['peer_reached']:.1e}", f"{r['ratio']:.2f}",
                    f"{r['cpu_ratio']:.2f}",
                ]
                for r in result["ratios_by_defaults"]
            ],
        )  # fmt: skip
        commands = sorted({(r["program"], r["gap"], r["command"]) for r in result["rows"] if "key" in r})
        wanted = [f"# {program}, gap {gap}\n{command}" for program, gap, command in commands if gap == "0.001"]
        yield "Commands for 1e-3:\n\n```sh\n" + "\n".join(wanted) + "\n```"


def _verdicts(ratios: Sequence[Result]) -> Iterator[str]:
    for r in ratios:
        if r["ratio"] >= 1:
            yield f"- **{r['peer']} wins** at {r['gap']} against {r['program']}: {r['ratio']:.2f} times its time."
        else:
            yield f"- {r['program']} takes {r['ratio']:.2f} times the time of {r['peer']}, the fastest, at {r['gap']}."


def _pack(found: Result) -> Iterator[str]:
    yield table(
        ["text", "MB", "MB/s", "MB/cpu s", "peak MB", "read / text", "written / text", "packed bytes a value"],
        [
            [
                name, _mb(r["text_bytes"]), f"{r['mb_per_second']:.0f}", f"{r['mb_per_cpu_second']:.0f}",
                _mb(r["peak_bytes"]), f"{r['read_per_text_byte']:.2f}", f"{r['written_per_text_byte']:.2f}",
                f"{r['packed_bytes_per_nonzero']:.2f}",
            ]
            for name, r in found.items()
        ],
    )  # fmt: skip


def _pass(found: Result) -> Iterator[str]:
    yield table(
        ["set", "pass s", "its arithmetic on two processors s", "the rest s"],
        [[name, f"{r['pass']:.3f}", f"{r['arithmetic']:.3f}", f"{r['overhead']:.3f}"] for name, r in found.items()],
    )


def _predict(found: Result) -> Iterator[str]:
    yield table(
        ["set", "MB/s", "MB/cpu s", "peak MB"],
        [
            [name, f"{r['mb_per_second']:.0f}", f"{r['mb_per_cpu_second']:.0f}", _mb(r["peak_bytes"])]
            for name, r in found.items()
        ],
    )


def _startup(found: Result) -> Iterator[str]:
    yield table(
        ["command", "wall s", "cpu s"], [[name, f"{r['wall']:.3f}", f"{r['cpu']:.3f}"] for name, r in found.items()]
    )


def _scaling(found: Result) -> Iterator[str]:
    yield table(
        ["rows", "pack s", "per row", "pass s", "per row"],
        [
            [
                f"{r['rows']:,}", f"{r['pack_wall']:.2f}", f"{r['pack_per_row']:.2f}", f"{r['pass']:.3f}",
                f"{r['pass_per_row']:.2f}",
            ]
            for r in found["rows"]
        ],
    )  # fmt: skip
    yield "Per row: time per row against that of the full size, median over the rounds."
    w = found["workers"]
    yield (
        f"A pass takes {w['1']:.3f} s with one worker, {w['2']:.3f} s with two: {w['speed-up']:.2f} times as fast. Its "
        "arithmetic alone, in processes that exchange nothing, is "
        f"{w['of the arithmetic']:.2f} times as fast in two as in one; a loop that uses no memory, "
        f"{w['of a loop']:.2f} times."
    )
    yield table(
        ["partitions", "passes", "pass s"],
        [[str(r["partitions"]), str(r["passes"]), f"{r['pass']:.3f}"] for r in found["partitions"]],
    )


def _memory(found: Result) -> Iterator[str]:
    yield table(
        ["set", "decoded MB", "--memory MB", "peak MB", "peak of pack MB", "pass s", "M non-zeros/s a core"],
        [
            [
                name, _mb(r["decoded_bytes"]), _mb(r["limit_bytes"]), _mb(r["peak_bytes"]), _mb(r["pack_peak_bytes"]),
                f"{r['pass']:.2f}", f"{r['nonzeros_per_second_and_core'] / 1e6:.1f}",
            ]
            for name, r in found.items()
        ],
    )  # fmt: skip
