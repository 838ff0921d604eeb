"""Names and files that somebody means harm with, through whole retrainings.

    python hostile.py [N] [FOLDER]

Names of columns, values and files that a shell, a terminal, a path or a spreadsheet would obey. Then N
changes of what is kept below a root: bytes flipped, files cut off, and nonsense under right checksums.
"""

from __future__ import annotations

import collections
import csv
import io
import os
import random
import re
import unicodedata
from pathlib import Path

import forked
import numpy as np
from daily import day
from figures import Figures, parsed
from sealed_nonsense import mutate_json
from table import Table, after_two_nights, warm_up

from hdfs_layout import decode_document, encode_document

NIGHT = 6
CANARY = "mr_ml-soak-canary"
NAMES = (
    f"; touch {CANARY}", f"$(touch {CANARY})", f"`touch {CANARY}`", f"| touch {CANARY} #", f"x' ; touch {CANARY} ; '",
    f"../../{CANARY}", f"/tmp/{CANARY}", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", f'=HYPERLINK("x","{CANARY}")',
    "@SUM(1+1)*cmd|' /C calc'!A0", "-2+3", "a\nb", "a\r\nb", "tab\there", 'quo"ted', "com,ma", "\u202etxt.exe",
    "é\u0301", "{date}", "%s%n%x", "${HOME}", "__class__", "-rf", "--root=/", "~root", "*", "x" * 3000,
    "\u2028line", "nul\\0", " ",
)  # fmt: skip
# What a terminal would obey, but for tabs and ends of lines.
_OBEYED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CODES = (0, 2, 3, 65, 74)
# What the next retraining reads: the model in use, the log of promotions, locks, the newest journal.
_READ = re.compile(
    r"models/ctr/v000002|promotions/v000003|models/ctr/data/|locks/ctr/|retrains/|datasets/clicks/v000002"
)


def run(n: int, folder: Path, *, seed: int = 1) -> Figures:
    """Try names, all of them if there are a thousand changes, and changes; return what came of them."""
    folder.mkdir(parents=True)
    faults: list[str] = []
    codes: collections.Counter[str] = collections.Counter()
    for k, name in enumerate(NAMES[: max(n // 30, 4)]):
        for where in ("column", "values", "file"):
            _hostile_name(folder / "names" / f"{k}-{where}", name, where, codes, faults)
    canaries = [path for place in (Path.cwd(), Path("/tmp"), *folder.parents) for path in place.glob(f"*{CANARY}*")]
    canaries += [path for path in folder.rglob(f"*{CANARY}*") if "/days/dt=" not in str(path)]
    if found := list(map(str, canaries)):
        faults.append(f"something was executed, or written where a name said: {found}")
    names = {
        "hostile names": len(NAMES[: max(n // 30, 4)]),
        "retrainings with them, by exit code": dict(sorted(codes.items())),
    }
    return {**names, **_mutations(n, folder / "mutations", random.Random(seed), faults), "faults": faults}


def _hostile_name(
    folder: Path, name: str, where: str, codes: collections.Counter[str], faults: list[str]
) -> None:  # fmt: skip
    folder.mkdir(parents=True)
    table = Table(folder)
    table.configure()
    if where == "file" and "/" in name:
        return
    try:
        for number in range(2, 6):
            _write_day(table, number, name, where)
    except OSError:
        codes[f"{where}: no such name"] += 1
        return
    ended = table.run(5)
    codes[f"{where}: exit {ended.code}"] += 1
    _look(f"{where} {name[:40]!a}", ended, faults)
    for command in (["models", "show", "ctr", "--root", table.root], ["status", table.settings]):
        shown = forked.command(list(command), folder=folder, output=folder / "shown.txt").wait()
        _look(f"{where} {name[:40]!a}, {command[0]}", shown, faults)


def _write_day(table: Table, number: int, name: str, where: str) -> None:
    rng = np.random.default_rng(number)
    labels = ("no", name if where == "values" else "yes")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["a", name if where == "column" else "b", "clicked"])
    for _ in range(60):
        x, hot = rng.normal(), rng.random() < 0.5
        word = (name if where == "values" else "one") if hot else "other"
        writer.writerow([f"{x:.4f}", word, labels[int(x + hot + rng.logistic() > 0.5)]])
    place = table.folder / "days" / f"dt={day(number)}"
    place.mkdir(parents=True)
    (place / f"{name if where == 'file' else 'part'}.csv").write_text(text.getvalue(), newline="")


def _look(what: str, ended: forked.Ended, faults: list[str]) -> None:
    if ended.code not in _CODES or "Traceback" in ended.text:
        faults.append(f"{what}: exit {ended.code}: {ended.text[-600:]}")
    if found := _OBEYED.search(ended.text):
        faults.append(f"{what}: writes {unicodedata.name(found[0], ascii(found[0]))}: {ended.text[-300:]!a}")


def _mutations(n: int, folder: Path, rng: random.Random, faults: list[str]) -> Figures:
    base = after_two_nights(folder / "base")
    alone = base.copy(folder / "alone")
    assert alone.run(NIGHT).code == 0
    digest = alone.coefficients("ctr")
    codes: collections.Counter[str] = collections.Counter()
    refused = named = 0
    below = forked.files_below(base.root)
    files = sorted(name for name in below if (base.root / name).is_file() and not name.endswith("/.lock"))
    read = [name for name in files if _READ.search(name)]
    for k in range(n):
        table = base.copy(folder / "trial")
        # two of three are of those that a retraining reads
        name = files[k // 3 % len(files)] if k % 3 == 0 else rng.choice(read)
        path = table.root / name
        before = path.read_bytes()
        how = rng.choice(("a byte", "cut off", "nonsense under a right checksum"))
        what = _mutate(path, how, rng)
        if path.read_bytes() == before:
            continue
        ended = _command(table, rng).wait()
        codes[f"{how}: exit {ended.code}"] += 1
        where = f"{name}, {how} ({what})"
        if ended.code not in (*_CODES, 75) or "Traceback" in ended.text:
            faults.append(f"{where}: exit {ended.code}: {ended.text[-600:]}")
        if ended.code == 65:
            refused += 1
            is_named = any(part in ended.text for part in (name, os.path.basename(name), name.split("/")[1]))
            named += is_named
            if not is_named:
                faults.append(f"{where}: a message that does not name the file: {ended.text[-400:]}")
        is_new = ended.code == 0 and ended.result.get("outcome") == "published"
        if is_new and how != "nonsense under a right checksum" and table.coefficients("ctr") != digest:
            faults.append(f"{where}: another model is published: {ended.text[-300:]}")
    return {
        "changes of files": n,
        "kinds of files": len({re.sub(r"[0-9]{6,8}T?[0-9a-f-]*", "N", name) for name in files}),
        "commands after them, by exit code": dict(sorted(codes.items())),
        "refused as bad data": refused,
        "of these name the file": named,
    }


def _command(table: Table, rng: random.Random) -> forked.Running:
    root = ["--root", table.root]
    words: list[object] = rng.choice(
        [
            *[["retrain", table.settings, "--for", day(NIGHT), "--json"]] * 6,
            ["status", table.settings], ["models", "list", *root], ["models", "show", "ctr", *root],
            ["models", "rollback", "ctr", *root], ["runs", "list", *root],
            ["clean", table.settings, "--dry-run"], ["clean", table.settings],
        ]
    )  # fmt: skip
    return forked.command(words, folder=table.folder, output=table.folder / "out.txt")


def _mutate(path: Path, how: str, rng: random.Random) -> str:
    """Change a file; say how."""
    data = bytearray(path.read_bytes())
    if how == "nonsense under a right checksum" and path.suffix == ".json":
        tree = decode_document(bytes(data), where=str(path))
        said = mutate_json(tree, rng)
        for key in ("format", "sha256"):
            tree.pop(key, None)
        path.write_bytes(encode_document(tree))
        return said
    if not data:
        path.write_bytes(rng.randbytes(20))
        return "20 bytes"
    at = rng.randrange(len(data))
    if how == "cut off":
        path.write_bytes(data[:at])
    else:
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    return f"at {at}"


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=1000)
