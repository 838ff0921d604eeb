"""Stored documents changed at random and sealed again with right checksums, and the commands that read them.

    python -m sealed_nonsense 4000       run in tests/: as many commands, and what came of them

A person with an editor, another release or another tool could have written every one of them.
"""

from __future__ import annotations

import collections
import hashlib
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from commands import Commands, Outcome, write_csv, write_libsvm

from hdfs_layout import append_events, decode_document, encode_document, open_store, read_events
from mr_ml.catalog import checkpoints, states
from mr_ml.data import frame
from mr_ml.data.npz import from_npz

LONE = "\ud800"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 2**40, 2**70, 0.5, -0.5, 1e308, "", "x", "two@1", "../../x", "a/b", "é\n\x1b[31m",
    LONE, [], {}, [[]], [1, "x", None], {"x": 1}, "0" * 64, "f" * 16,
)  # fmt: skip


# --- documents, and how each is sealed --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """One stored document: where it is, how it is read and sealed, and the commands that read it."""

    name: str
    change: Callable[[Path, random.Random], str]
    commands: tuple[tuple[str, ...], ...]


def _document(relative: str) -> Callable[[Path, random.Random], str]:
    def change(root: Path, rng: random.Random) -> str:
        path = root / relative
        tree = decode_document(path.read_bytes(), where="")
        said = mutate_json(tree, rng)
        for key in ("format", "sha256"):
            tree.pop(key, None)
        path.write_bytes(encode_document(tree))
        return said

    return change


def _npz(manifest: str, entry: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path, random.Random], str]:
    def change(root: Path, rng: random.Random) -> str:
        path = root / manifest
        tree = decode_document(path.read_bytes(), where="")
        file = root / entry(tree)["uri"]
        arrays = from_npz(file.read_bytes(), where="")
        said = mutate_arrays(arrays, rng, dtypes=("<f4", "<i4", "<c16", "<U3", "|b1", "<f8", "<i8"))
        with file.open("wb") as out:
            np.savez(out, **cast("dict[str, Any]", arrays))
        entry(tree)["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        path.write_bytes(encode_document(tree))
        return said

    return change


FRAME_DTYPES = ("|i1", "|u1", "<i4", "<i8", "<f4", "<f8")


def _sealed_frame(pattern: str) -> Callable[[Path, random.Random], str]:
    """A state or its pairs: the sha256 within is right as well."""

    def change(root: Path, rng: random.Random) -> str:
        path = sorted(root.glob(pattern))[-1]
        opened = frame.decode(path.read_bytes(), kind=("state", "pairs"), where="")
        meta, arrays = json.loads(json.dumps(opened.meta)), dict(opened.arrays)
        said = mutate_json(meta, rng) if rng.random() < 0.5 else mutate_arrays(arrays, rng, dtypes=FRAME_DTYPES)
        try:
            owner = states.Owner(**meta["owner"])
            meta["sha256"] = states._sha256(meta["content"], arrays, owner)
        except (KeyError, TypeError, AttributeError):
            pass  # a header that cannot be sealed
        path.write_bytes(as_frame(opened.kind, meta, arrays))
        return said

    return change


def as_frame(kind: str, meta: Any, arrays: Any) -> bytes:
    """A frame; its header is UTF-8, which half a surrogate pair cannot be."""
    text = json.dumps(meta).replace(json.dumps(LONE)[1:-1], "x")
    return frame.encode(kind, json.loads(text), arrays)


def _log(pattern: str) -> Callable[[Path, random.Random], str]:
    def change(root: Path, rng: random.Random) -> str:
        (path,) = root.glob(pattern)
        store, name = open_store(str(root)), str(path.relative_to(root))
        events = [dict(event) for event in read_events(store, name)]
        chosen = rng.randrange(len(events))
        said = mutate_json(events[chosen], rng) if rng.random() < 0.8 else mutate_json(events, rng)
        path.unlink()
        lines = [event if isinstance(event, dict) else {"event": event} for event in events]
        append_events(store, name, lines)
        return said

    return change


def _block(manifest: str) -> Callable[[Path, random.Random], str]:
    """A block of a partition, with all that the manifest says of it put right."""

    def change(root: Path, rng: random.Random) -> str:
        path = root / manifest
        tree = decode_document(path.read_bytes(), where="")
        entry = rng.choice([p for p in tree["partitions"] if p["blocks"]])
        file = root / entry["uri"]
        lines = file.read_bytes().splitlines(keepends=True)
        index = rng.randrange(len(lines))
        head, number, text = lines[index].rstrip(b"\n").split(b"\t")
        opened = frame.decode(frame.from_text(text, where=""), kind=("block-2", "block"), where="")
        meta, arrays = json.loads(json.dumps(opened.meta)), dict(opened.arrays)
        said = mutate_json(meta, rng) if rng.random() < 0.4 else mutate_arrays(arrays, rng, dtypes=FRAME_DTYPES)
        lines[index] = b"\t".join((head, number, frame.to_text(as_frame(opened.kind, meta, arrays)))) + b"\n"
        data = b"".join(lines)
        file.write_bytes(data)
        digest = 0
        for k, line in enumerate(lines):
            encoded = frame.from_text(line.rstrip(b"\n").split(b"\t")[2], where="")
            digest = (digest + (2 * k + 1) * frame.crc_of(encoded)) % 2**64
        entry.update(
            bytes=len(data),
            line_bytes=list(map(len, lines)),
            digest=f"{digest:016x}",
            sha256=hashlib.sha256(data).hexdigest(),
        )
        path.write_bytes(encode_document(tree))
        return said

    return change


# --- changes ----------------------------------------------------------------------------------------------------------


def places(tree: Any, way: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every container in a tree with every key or index of it, and the way there."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in items:
        yield f"{way}/{key}", tree, key
        yield from places(value, f"{way}/{key}")


def mutate_json(tree: Any, rng: random.Random) -> str:
    """Change one place of a tree; says how, and if plausibly: to a value of the same type, which may be a true one."""
    way, holder, key = rng.choice(list(places(tree)))
    old = holder[key]
    kind = rng.choice(("value", "value", "value", "drop", "add", "rename", "repeat", "nudge"))
    if kind == "drop":
        del holder[key]
    elif kind == "add":
        if isinstance(old, dict):
            old[rng.choice(("x", "", "é", "__class__"))] = rng.choice(VALUES)
        elif isinstance(old, list):
            old.append(rng.choice(VALUES))
        else:
            holder[key] = [old]
    elif kind == "rename" and isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)
    elif kind == "repeat" and isinstance(holder, list):
        holder.append(old)
    elif kind == "nudge" and type(old) in (int, float):
        holder[key] = -old if rng.random() < 0.3 else old + rng.choice((1, -1, 10**6))
    else:
        holder[key] = rng.choice(VALUES)
    new = holder[key] if (key in holder if isinstance(holder, dict) else key < len(holder)) else "nothing"
    # a repeated or lacking item of a list leaves a list of the same items
    numbers = type(old) in (int, float) and type(new) in (int, float)
    plausible = kind not in ("drop", "add") and (type(new) is type(old) or numbers)
    return f"{'plausible ' if plausible else ''}{kind} {way}: {str(old)[:40]!r} -> {str(new)[:40]!r}"


def mutate_arrays(arrays: dict[str, Any], rng: random.Random, *, dtypes: tuple[str, ...]) -> str:
    """Change one array: its type, its shape, its numbers, its name, or that it is there."""
    if not arrays:
        return "plausible nothing"
    name = rng.choice(sorted(arrays))
    old = arrays[name]
    kind = rng.choice(("dtype", "shape", "shape", "value", "drop", "add", "rename"))
    if kind == "dtype":
        with np.errstate(all="ignore"):
            arrays[name] = old.astype(rng.choice(dtypes))
    elif kind == "shape":
        shapes = (
            old.reshape(-1),
            old[None],
            old.reshape(-1)[:-1],
            np.concatenate([old.reshape(-1)] * 2),
            old.reshape(-1)[:0],
            old.T,
        )
        arrays[name] = rng.choice(shapes)
    elif kind == "value" and old.size:
        changed = old.copy().reshape(-1)
        new = rng.choice((np.nan, np.inf, -1, 1e300, 0)) if old.dtype.kind == "f" else rng.choice((0, 1, 120))
        changed[rng.randrange(changed.size)] = new
        arrays[name] = changed.reshape(old.shape)
    elif kind == "drop":
        del arrays[name]
    elif kind == "rename":
        arrays[f"{name}_"] = arrays.pop(name)
    else:
        arrays["x"] = np.ones(3)
    same = name in arrays and arrays[name].dtype == old.dtype and arrays[name].shape == old.shape and "x" not in arrays
    return f"{'plausible ' if same else ''}{kind} of array {name!r}"


# --- what is there, and the commands ----------------------------------------------------------------------------------

DATA = (("describe", "{d}"), ("train", "{d}", "--model", "new", "--max-passes", "2", *("--loss", "{loss}")),
        ("evaluate", "{m}", "{d}", "--split", "train"),
        ("pack", "{rows}", "--like", "{d}", "--to", "again"))  # fmt: skip
MODEL = (("models", "list"), ("models", "show", "{m}"), ("evaluate", "{m}", "{d}", "--split", "train"),
         ("predict", "{m}", "{rows}", "--to", "{out}"))  # fmt: skip
RUN = (("runs", "list"), ("runs", "show", "{run}"), ("train", "--resume", "{run}"))
SETS = {"two": "logistic", "text": "softmax", "real": "squared"}


@dataclass(frozen=True)
class World:
    """A root with three datasets and models, and runs that were not ended; changed and restored at will."""

    folder: Path

    @property
    def commands(self) -> Commands:
        return Commands(self.folder / "root", runner=("-r", "inline"))

    @classmethod
    def made(cls, folder: Path) -> World:
        world, rng = cls(folder), np.random.default_rng(5)
        x = np.round(rng.normal(size=(90, 4)), 3)
        y = (x.sum(axis=1) + rng.normal(size=90) > 0).astype(int)
        write_libsvm(folder / "two", x * (rng.random((90, 4)) < 0.25), y)
        write_libsvm(folder / "real", x, np.round(x @ [1.0, 2.0, 0.0, -1.0] + rng.normal(size=90), 3))
        columns = {
            "a": x[:, 0],
            "c": ["red", "green", "blue"] * 30,
            "w": np.abs(x[:, 1]),
            "label": [["no", "so", "yes"][k] for k in rng.integers(0, 3, 90)],
        }
        write_csv(folder / "text.csv", columns)
        run, options = (
            world.commands,
            {"text": ("--weight-column", "w", "--seed", "3"), "two": ("--partitions", "2"), "real": ()},
        )
        for name, loss in SETS.items():
            run("pack", world.rows(name), "--to", name, *options[name])
            solver = "lbfgs" if name != "real" else "newton"
            stake, apart = checkpoints.AT_STAKE_SECONDS, checkpoints.HISTORIES_APART_FROM
            checkpoints.AT_STAKE_SECONDS, checkpoints.HISTORIES_APART_FROM = 0.0, 0 if name == "text" else apart
            try:
                run(
                    "train",
                    name,
                    "--model",
                    name,
                    "--loss",
                    loss,
                    "--l2",
                    "0.01",
                    "--solver",
                    solver,
                    "--tolerance",
                    "1e-9",
                )
            finally:
                checkpoints.AT_STAKE_SECONDS, checkpoints.HISTORIES_APART_FROM = stake, apart
            run("models", "promote", name)
            # as a kill before the last pass leaves it
            folder_of_run = run.root / "runs" / run("models", "show", name)["run"]
            shutil.rmtree(sorted(folder_of_run.glob("passes/*"))[-1]) if name != "real" else None
        shutil.copytree(folder / "root", folder / "pristine")
        return world

    def rows(self, name: str) -> str:
        return str(self.folder / ("text.csv" if name == "text" else name))

    def run_of(self, name: str) -> str:
        document = decode_document((self.folder / f"pristine/models/{name}/v000001.json").read_bytes(), where="")
        return str(document["run"])

    def restore(self) -> None:
        shutil.rmtree(self.folder / "root")
        shutil.copytree(self.folder / "pristine", self.folder / "root")
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        (self.folder / "out").unlink(missing_ok=True) if (self.folder / "out").is_file() else None

    def documents(self) -> list[Stored]:
        found = []
        for name, loss in SETS.items():
            run = self.run_of(name)
            words = {
                "d": name,
                "m": name,
                "loss": loss,
                "rows": self.rows(name),
                "out": str(self.folder / "out"),
                "run": run,
            }

            def said(commands: Any, words: dict[str, str] = words) -> tuple[tuple[str, ...], ...]:
                return tuple(tuple(word.format(**words) for word in command) for command in commands)

            dataset, model = f"datasets/{name}/v000001.json", f"models/{name}/v000001.json"
            found += [
                Stored(dataset, _document(dataset), said(DATA)),
                Stored(model, _document(model), said(MODEL)),
                Stored(f"promotion of {name}", _document(f"models/{name}/promotions/v000002.json"), said(MODEL[2:])),
                Stored(f"moments of {name}", _npz(dataset, lambda tree: tree["moments"]["train"]), said(DATA[:2])),
                Stored(f"coef of {name}", _npz(model, lambda tree: tree["coef"]), said(MODEL[1:])),
                Stored(f"blocks of {name}", _block(dataset), said(DATA[1:3])),
                Stored(f"spec of {name}", _document(f"runs/{run}/spec.json"), said(RUN)),
                Stored(f"log of {name}", _log(f"runs/{run}/log.jsonl"), said(RUN)),
                Stored(f"state of {name}", _sealed_frame(f"runs/{run}/passes/*/state"), said(RUN[2:])),
            ]
            if name == "text":
                found.append(Stored("pairs", _sealed_frame(f"runs/{run}/passes/*/pairs"), said(RUN[2:])))
        return found


# Changes after which another result is no deception: what is still well formed is other data (a block may hold its
# numbers in any type), is there for people, or is a log that lost an event.
HARMLESS = re.compile(
    r"^(blocks of .*|datasets/.*: \w+ /(label_counts|packing)/.*|log of .*: \w+ /\d+: .*"
    r"|models/.*: drop /training/warnings: .*)$",
    re.DOTALL,
)
VOLATILE = {"run", "seconds", "version", "model", "rows_per_second", "log"}


def essence(value: Any) -> Any:
    """A result without what differs from run to run."""
    if isinstance(value, dict):
        return {key: essence(item) for key, item in value.items() if key not in VOLATILE}
    return [essence(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Attempt:
    document: str
    change: str
    command: tuple[str, ...]
    outcome: Outcome
    same: bool

    @property
    def crashed(self) -> bool:
        return self.outcome.code not in (0, 2, 65, 74) or "Traceback" in self.outcome.err

    @property
    def deceived(self) -> bool:
        """A result that is another one, of a change that can be told."""
        return self.outcome.code == 0 and not self.same and not self.harmless

    @property
    def harmless(self) -> bool:
        return self.change.startswith("plausible") or HARMLESS.match(f"{self.document}: {self.change}") is not None

    def __str__(self) -> str:
        last = (self.outcome.err.strip().splitlines() or [""])[-1]
        return f"{self.document}: {self.change}: mr-ml {' '.join(self.command)}: {self.outcome.code} {last[:300]}"


def attempts(world: World, n_commands: int, seed: int = 0) -> Iterator[Attempt]:
    """So many commands on documents that are changed one by one."""
    rng = random.Random(seed)
    documents = world.documents()
    right: dict[tuple[str, ...], Any] = {}
    for document in documents:
        for command in document.commands:
            if command not in right:
                world.restore()
                right[command] = essence(world.commands(*command))
    done = 0
    while done < n_commands:
        document = documents[done % len(documents)] if done < len(documents) else rng.choice(documents)
        state = rng.getstate()
        for command in document.commands:
            world.restore()
            rng.setstate(state)
            change = document.change(world.commands.root, rng)
            found = world.commands.run(*command, "--json")
            same = found.code == 0 and essence(found.result) == right[command]
            yield Attempt(document.name, change, command, found, same)
            done += 1


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    codes: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for found in attempts(World.made(Path(folder)), n, seed):
            kind = "crashed" if found.crashed else "deceived" if found.deceived else str(found.outcome.code)
            codes[kind] += 1
            if kind in ("crashed", "deceived", "2", "74"):
                print(kind, found, flush=True)
                if found.crashed:
                    print("\n".join(found.outcome.err.splitlines()[-8:]))
    print(dict(codes))


if __name__ == "__main__":
    main()
