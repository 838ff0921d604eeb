"""The language in which cases are written: commands, and outcomes of which one must come about.

A case has `id`, `about`, `steps` and `accept`; or `tries`, a list of such pairs, of which one must do. A step is a
command without the program's name, run with `-r inline --json`; `plain: COMMAND` is run without `--json`. Steps are run
in order until one fails. `limit_gib` bounds the addresses that a step may use.

Accepted is one of:

    {"right": [CHECK, ...]}     every step ends with 0 and every check holds
    {"refused": COMMAND or [COMMAND, ...], "says": [PATTERN, ...], "never": [PATTERN, ...], "codes": [CODE, ...]}
                                a step of that command is the one that fails, with such a code, and what it wrote
                                matches all patterns of `says` and none of `never`

A check is one of these; COMMAND names the first step of that command, COMMAND2 the second, a list any of them:

    {"of": COMMAND, "key": DOTTED, "near": NUMBER, "abs": NUMBER | "is": VALUE | "from": NUMBER, "to": NUMBER}
    {"of": COMMAND, "says" or "never": PATTERN}                     of all that it wrote; the case of letters is all one
    {"model": NAME, "rel": NUMBER, "abs": NUMBER, "coef": {FEATURE: NUMBER}, "intercept": NUMBER}
    {"file": PATH, "column": NAME or #NUMBER, "near": [NUMBER, ...], "abs": NUMBER | "is": [TEXT, ...]}

Whatever is accepted, no step may end in a traceback, by a signal, or call itself a defect.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Commands, Outcome

Case = Mapping[str, Any]
Run = Callable[[Sequence[str]], Outcome]

_NEVER = re.compile(r"Traceback \(most recent|defect of mr-ml")
_SHOWN = 1500


@dataclass(frozen=True)
class Step:
    """A command of a case, and what came of it."""

    text: str
    name: str
    outcome: Outcome

    @property
    def said(self) -> str:
        return f"{self.outcome.out}\n{self.outcome.err}"

    def __str__(self) -> str:
        said = self.said.strip()
        return f"mr-ml {self.text}\n  -> exit code {self.outcome.code}\n  {said[-_SHOWN:]}"


@dataclass(frozen=True)
class Found:
    """What the steps of a case left: outcomes, models in the root, files in the folder."""

    steps: tuple[Step, ...]
    commands: Commands
    folder: Path

    def named(self, names: str | Sequence[str]) -> list[Step]:
        """The steps of these names that were run."""
        wanted = [names] if isinstance(names, str) else list(names)
        return [step for step in self.steps if step.name in wanted]


def run_steps(case: Case, run: Run, *, commands: Commands, folder: Path) -> Found:
    """Run until a step fails."""
    steps: list[Step] = []
    for text in case["steps"]:
        plain = text.startswith("plain: ")
        words = shlex.split(text.removeprefix("plain: "))
        number = 1 + sum(step.text.split()[0] == words[0] for step in steps)
        outcome = run(words if plain else [*words, "--json"])
        steps.append(Step(" ".join(words), words[0] + (str(number) if number > 1 else ""), outcome))
        if outcome.code:
            break
    return Found(tuple(steps), commands, folder)


def faults(case: Case, found: Found) -> list[str]:
    """Why the outcome is none of the accepted ones; empty if it is one."""
    broken = [f"{step}: never acceptable" for step in found.steps if _NEVER.search(step.said) or step.outcome.code < 0]
    if broken:
        return broken
    reasons = []
    for accepted in case["accept"]:
        wrong = _refused(accepted, found) if "refused" in accepted else _right(accepted, found)
        if not wrong:
            return []
        reasons.append(f"accepted would be {accepted}\n  but {'; '.join(wrong)}")
    return [*reasons, "what was run:", *map(str, found.steps)]


def _refused(accepted: Mapping[str, Any], found: Found) -> list[str]:
    last = found.steps[-1]
    refusing = [accepted["refused"]] if isinstance(accepted["refused"], str) else accepted["refused"]
    if not last.outcome.code:
        return [f"no step of {refusing} was refused"]
    # the second step of a command refuses as the first does
    if last.name.rstrip("23456789") not in refusing and last.name not in refusing:
        return [f"{last.name} was refused, not one of {refusing}"]
    wrong = [] if last.outcome.code in accepted["codes"] else [f"exit code {last.outcome.code}"]
    wrong += [f"it does not say {text!r}" for text in accepted["says"] if not _says(text, last.said)]
    return wrong + [f"it says {text!r}" for text in accepted["never"] if _says(text, last.said)]


def _right(accepted: Mapping[str, Any], found: Found) -> list[str]:
    last = found.steps[-1]
    if last.outcome.code:
        return [f"{last.name} ended with exit code {last.outcome.code}"]
    wrong = []
    for check in accepted["right"]:
        kind = next(kind for kind in _CHECKS if kind in check)
        wrong += _CHECKS[kind](check, found)
    return wrong


def _of(check: Mapping[str, Any], found: Found) -> list[str]:
    steps = found.named(check["of"])
    if not steps:
        return [f"no step {check['of']} was run"]
    said = "\n".join(step.said for step in steps)
    if "says" in check:
        return [] if _says(check["says"], said) else [f"{check['of']} does not say {check['says']!r}"]
    if "never" in check:
        return [f"{check['of']} says {check['never']!r}"] if _says(check["never"], said) else []
    value: Any = steps[0].outcome.result
    for part in check["key"].split("."):
        if not isinstance(value, Mapping) or part not in value:
            return [f"{check['of']} has no {check['key']} (at {part!r} in {value})"]
        value = value[part]
    if "near" in check:
        good = value is not None and abs(value - check["near"]) <= check["abs"]
    elif "is" in check:
        good = value == check["is"] and isinstance(value, bool) == isinstance(check["is"], bool)
    else:
        good = check["from"] <= value <= check["to"]
    return [] if good else [f"{check['of']} has {check['key']} {value}"]


def _model(check: Mapping[str, Any], found: Found) -> list[str]:
    shown = found.commands("models", "show", check["model"])
    coef = found.commands.coef(check["model"])
    values = {} if shown["feature_names"] is None else dict(zip(shown["feature_names"], coef.coef[0], strict=True))
    values = {**values, "(intercept)": coef.intercept[0]}
    wanted = {**check.get("coef", {}), **({"(intercept)": check["intercept"]} if "intercept" in check else {})}
    wrong = []
    for name, right in wanted.items():
        value = values.get(name)
        if value is None or not abs(value - right) <= check["rel"] * abs(right) + check["abs"]:
            wrong.append(f"{name} of model {check['model']} is {value}, not {right}")
    return wrong


def _file(check: Mapping[str, Any], found: Found) -> list[str]:
    path = found.folder / check["file"]
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    column = check["column"]
    if column.startswith("#"):
        at = int(column[1:])
    elif rows and column in rows[0]:
        at = rows[0].index(column)
        rows = rows[1:]
    else:
        return [f"{path.name} has no column {column}: its first line is {rows[:1]}"]
    values = [row[at] for row in rows]
    if "is" in check:
        return [] if values == check["is"] else [f"column {column} of {path.name} is {values}"]
    if len(values) != len(check["near"]):
        return [f"{path.name} has {len(values)} rows, not {len(check['near'])}"]
    off = [
        f"row {i} of {path.name} has {column} {value}, not {right}"
        for i, (value, right) in enumerate(zip(map(float, values), check["near"], strict=True))
        if not abs(value - right) <= check["abs"]
    ]
    return [*off[:3], f"{len(off)} rows in all"] if len(off) > 3 else off


_CHECKS: dict[str, Callable[[Mapping[str, Any], Found], list[str]]] = {"of": _of, "model": _model, "file": _file}


def _says(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None
