"""The direction of imports, read from the sources: who may know whom, and what a map task drags in."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import hdfs_layout
from mr_ml.data import kernels

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = {"mr_ml": "mr_ml", "hdfs_layout": "hdfs_layout", "mr_ml_jobs": "jobs"}
OURS = tuple(FOLDERS)

# From the ground up: a package may import itself and those before it. A module's own name goes before its package's.
LAYERS = (
    ("hdfs_layout",),
    (
        "mr_ml",
        "mr_ml.errors",
        "mr_ml.ids",
        "mr_ml.interrupts",
        "mr_ml.progress",
        "mr_ml.progress_lines",
        "mr_ml.progress_text",
        "mr_ml.sizes",
        "mr_ml.spent",
        "mr_ml.ticks",
        "mr_ml.whoami",
    ),
    ("mr_ml.data",),
    ("mr_ml.sums",),
    # the words in which objectives and optimizers talk, not an optimizer
    ("mr_ml.readers", "mr_ml.optimize.base", "mr_ml.optimize.columns", "mr_ml.optimize.kinks", "mr_ml.optimize.reach"),
    ("mr_ml.settings",),
    ("mr_ml.coefficients",),
    ("mr_ml.models",),
    ("mr_ml.optimize",),
    # what a kind of model knows of data
    ("mr_ml.catalog.dataset", "mr_ml.catalog.feature_moments"),
    ("mr_ml.models.base", "mr_ml.models.prior", "mr_ml.models.problem"),
    ("mr_ml.catalog", "mr_ml.runners"),
    ("mr_ml.models.linear.kind", "mr_ml.passes"),
    ("mr_ml.packing", "mr_ml.prediction", "mr_ml.training"),
    ("mr_ml_jobs",),
    ("mr_ml.memory",),
    ("mr_ml.session",),
    ("mr_ml.where",),
    # the gate measures how rows have moved, which reports show; retraining writes reports
    ("mr_ml.comparing", "mr_ml.exports", "mr_ml.retraining.gate", "mr_ml.tuning"),
    ("mr_ml.reports",),
    ("mr_ml.retraining",),
    ("mr_ml.api", "mr_ml.api_measuring", "mr_ml.dataset_ref"),
    ("mr_ml.loaded", "mr_ml.sklearn"),
    ("mr_ml.demo",),
    ("mr_ml.cli",),
    ("mr_ml.__main__",),
    ("mr_ml.schedulers",),
)
# They do not know each other, though they are in one layer.
APART = (("mr_ml.catalog", "mr_ml.runners"), ("mr_ml.packing", "mr_ml.prediction", "mr_ml.training"))

DRIVER_ONLY = (
    "mr_ml.api", "mr_ml.api_measuring", "mr_ml.catalog", "mr_ml.cli", "mr_ml.coefficients", "mr_ml.exports",
    "mr_ml.memory", "mr_ml.dataset_ref", "mr_ml.loaded", "mr_ml.models.base", "mr_ml.models.linear.kind",
    "mr_ml.models.problem", "mr_ml.optimize",
    "mr_ml.reports", "mr_ml.retraining", "mr_ml.schedulers", "mr_ml.session", "mr_ml.settings", "mr_ml.sklearn",
    "mr_ml.training",
)  # fmt: skip
JOBS = sorted(f"mr_ml_jobs.{path.stem}" for path in (CHECKOUT / "jobs").glob("*_job.py"))

MOST_LINES = 450


@dataclass(frozen=True)
class Import:
    """One import statement.

    Attributes
    ----------
    names
        All modules that it may load: for ``from a.b import c`` both a.b and a.b.c.
    at_once
        It runs when the module is loaded; else later, within a function, or never (for type checkers only).
    spared
        What is to do without it is said: it stands in a ``try``.
    """

    names: tuple[str, ...]
    at_once: bool
    spared: bool
    line: int


def sources() -> dict[str, Path]:
    """Module name -> file, of everything that is installed."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            parts = (package, *path.relative_to(CHECKOUT / folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports_of(module: str, path: Path) -> Iterator[Import]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), package, at_once=True, spared=False)


def _imports(node: ast.AST, package: str, *, at_once: bool, spared: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield Import(tuple(alias.name for alias in child.names), at_once, spared, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            start = ".".join(package.split(".")[: len(package.split(".")) - child.level + 1]) if child.level else ""
            base = ".".join(filter(None, (start, child.module)))
            yield Import((base, *(f"{base}.{alias.name}" for alias in child.names)), at_once, spared, child.lineno)
        elif not isinstance(child, ast.expr):
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(
                child,
                package,
                at_once=at_once and not later and not typing_only,
                spared=spared or isinstance(child, ast.Try),
            )


SOURCES = sources()


@cache
def imports_in(module: str) -> tuple[Import, ...]:
    """Those of a module, which is read when it is first asked for: pytest loads this file also where it runs others."""
    return tuple(imports_of(module, SOURCES[module]))


# Names of the package that load the module that has them when they are first asked for.
LAZY = {f"hdfs_layout.{name}": place for name, place in hdfs_layout._PLACES.items()}


def ours(names: tuple[str, ...]) -> list[str]:
    """Those of the names that are modules of ours; the others are what such modules define."""
    return [name for name in (LAZY.get(name, name) for name in names) if name in SOURCES]


def layer(module: str) -> int:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        for number, members in enumerate(LAYERS):
            # the bare package is its __init__ alone
            if prefix in members and (prefix != "mr_ml" or module == "mr_ml"):
                return number
    pytest.fail(f"{module} has no layer in tests/test_imports.py: say where it belongs", pytrace=False)


def closure(start: str) -> dict[str, str]:
    """Every module of ours that importing `start` loads, each with the chain that leads to it."""
    chains, todo = {start: start}, [start]
    while todo:
        module = todo.pop()
        parents = [".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 1)]
        loaded = [name for found in imports_in(module) if found.at_once for name in ours(found.names)]
        for name in [*parents, *loaded]:
            if name in SOURCES and name not in chains:
                chains[name] = f"{chains[module]} -> {name}"
                todo.append(name)
    return chains


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def may_come_later(module: str, name: str) -> bool:
    """Whether an import of a later layer is right if it does not run when the module is loaded."""
    # a driver hands a job class to a runner: it names it within a function, so that tasks never see the driver; the
    # package itself is the Python API, each function of which is loaded when it is first asked for
    return is_within(name, ("mr_ml_jobs",)) or module == "mr_ml"


def test_no_layer_imports_a_later_one() -> None:
    wrong = [
        f"{SOURCES[module].relative_to(CHECKOUT)}:{found.line} imports {name}"
        for module in SOURCES
        for found in imports_in(module)
        for name in ours(found.names)
        if layer(name) > layer(module) and not (may_come_later(module, name) and not found.at_once)
    ]
    assert not wrong, "\n".join(wrong)


def test_packages_of_one_layer_do_not_know_each_other() -> None:
    wrong = [
        f"{SOURCES[module].relative_to(CHECKOUT)}:{found.line} imports {name}"
        for packages in APART
        for package in packages
        for module in SOURCES
        if is_within(module, (package,))
        for found in imports_in(module)
        for name in ours(found.names)
        if is_within(name, packages) and not is_within(name, (package,))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("job", JOBS)
def test_what_a_task_imports_never_reaches_the_driver(job: str) -> None:
    chains = closure(job)
    wrong = [chain for module, chain in sorted(chains.items()) if is_within(module, DRIVER_ONLY)]
    assert not wrong, "\n".join(wrong)
    assert "mr_ml.runners.local.runner" in chains, "the closure is not followed"


@pytest.mark.parametrize("job", JOBS)
def test_what_a_task_loads_is_what_the_sources_say(job: str) -> None:
    """The same once more by Python itself, which knows of imports that no source spells."""
    code = f"import sys, {job}; print(*sorted(sys.modules))"
    # as installed, or with jobs/ reachable under its installed name
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = {name for name in done.stdout.split() if name.split(".")[0] in OURS}
    assert sorted(name for name in loaded if is_within(name, DRIVER_ONLY)) == []
    assert loaded <= {*closure(job), "mr_ml._native"}


LOADED = """import sys
from mr_ml.cli import main
for line in sys.argv[1:]:
    assert main(line.split()) == 0
    print("LOADED", *sorted(sys.modules))
"""


@pytest.mark.skipif(not kernels.installed(), reason="without compiled loops scipy computes")
def test_commands_load_only_what_they_compute_with(tmp_path: Path) -> None:
    """scipy takes longer to load than all the rest together."""
    (tmp_path / "rows").write_text("0 1:0.5\n1 1:2 9:1\n" * 8)
    lines = (
        "pack rows --to rows",
        "train rows --model m --solver lbfgs --max-passes 2 --l2 1",
        "train rows --model m --solver lbfgs-sampled --max-passes 4 --l2 1",
        "predict m rows --to out",
    )
    given = [f"{line} --root root -r inline" for line in lines]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *given],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    packing, *_, at_last = [line.split() for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert "scipy" not in at_last
    assert not {"mr_ml.optimize.newton", "mr_ml.optimize.lbfgs", "mr_ml.training"} & set(packing)


def test_a_training_loads_nothing_of_other_work(tmp_path: Path) -> None:
    """Where data is small, what a command loads takes longer than what it does."""
    (tmp_path / "rows").write_text("0 1:0.5\n1 1:2 9:1\n" * 8)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])}
    loaded: set[str] = set()
    for line in ("pack rows --to rows", "train rows --model m --max-passes 3 --l2 1"):
        done = subprocess.run(
            [sys.executable, "-c", LOADED, f"{line} --root root -r inline"],
            capture_output=True, text=True, check=True, env=environment, cwd=tmp_path,
        )  # fmt: skip
        loaded = set(done.stdout.splitlines()[-1].split()[1:])
    others = {
        "mr_ml.data.folds", "mr_ml.exports.base", "mr_ml.models.inference", "mr_ml.models.linear.metrics",
        "mr_ml.models.paired", "mr_ml.packing", "mr_ml.prediction.driver", "mr_ml.readers.inputs",
        "mr_ml.readers.libsvm.reader", "mr_ml.readers.terms", "mr_ml.runners.local.workers", "mr_ml.tuning",
    }  # fmt: skip
    assert "mr_ml.training.train" in loaded
    assert not loaded & others
    assert len([name for name in loaded if name.split(".")[0] in OURS]) <= 192


def test_help_loads_next_to_nothing() -> None:
    """What it loads is what it takes: every command, and every completion of one, begins with the same."""
    code = "import sys; before = set(sys.modules)\nfrom mr_ml.cli import main\n"
    code += "try: main(['--help'])\nexcept SystemExit: print('LOADED', *sorted(set(sys.modules) - before))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    slow = {"dataclasses", "inspect", "json", "hashlib", "logging", "numpy", "importlib.metadata", "hdfs_layout.paths"}
    assert "mr_ml.cli.parser" in loaded
    assert not loaded & slow
    assert len([name for name in loaded if name.split(".")[0] in OURS]) <= 40


def test_nothing_is_imported_in_a_circle_at_loading() -> None:
    for module in SOURCES:
        names = {name for found in imports_in(module) if found.at_once for name in ours(found.names)} - {module}
        circles = [name for name in sorted(names) if module in _reachable(name) and not module.startswith(name + ".")]
        assert not circles, f"{module} and {', '.join(circles)} import each other"


def test_readers_do_not_import_each_other_in_a_circle_late_either() -> None:
    """Neither within functions nor for type checkers."""
    left = {
        module: {
            name for found in imports_in(module) for name in ours(found.names) if name.startswith("mr_ml.readers.")
        }
        for module in SOURCES
        if module.startswith("mr_ml.readers.")
    }
    assert sum(map(len, left.values())) > 50
    # take away what imports nothing that is left, again and again
    while done := {module for module, names in left.items() if not names & left.keys() - {module}}:
        left = {module: names for module, names in left.items() if module not in done}
    assert not left


def _reachable(start: str) -> set[str]:
    """What `start` names in its imports, and so on; packages that merely hold a module are left out."""
    seen, todo = {start}, [start]
    while todo:
        for found in imports_in(todo.pop()):
            for name in ours(found.names[-1:]) if found.at_once else ():
                if name not in seen:
                    seen.add(name)
                    todo.append(name)
    return seen


IMPORTED_AS = {"PyYAML": "yaml", "apache_airflow": "airflow", "scikit_learn": "sklearn"}
# A module in these is for the package of its name.
PARTNERS = ("mr_ml.schedulers", "mr_ml.readers.tables", "mr_ml")


def declared() -> tuple[set[str], set[str]]:
    """Import names of the required and of the optional packages of setup.cfg."""
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    optional = "\n".join(text for extra, text in extras.items() if extra not in ("test", "quickstart"))
    return _names(config["options"]["install_requires"]), _names(optional)


def _names(requirements: str) -> set[str]:
    names = {
        re.split(r"[^A-Za-z0-9_.-]", line.strip())[0].replace("-", "_")
        for line in requirements.splitlines()
        if line.strip()
    }
    return {IMPORTED_AS.get(name, name) for name in names}


def test_only_declared_packages_are_imported() -> None:
    required, optional = declared()
    assert {"mrjob", "numpy"} <= required
    wrong = []
    for module in SOURCES:
        for found in imports_in(module):
            top = found.names[0].partition(".")[0]
            if top in sys.stdlib_module_names or top in OURS or top in required:
                continue
            if top in optional and (
                found.spared or not found.at_once or is_within(module, tuple(f"{place}.{top}" for place in PARTNERS))
            ):
                continue
            wrong.append(f"{SOURCES[module].relative_to(CHECKOUT)}:{found.line} imports {top}")
    assert not wrong, "\n".join(wrong)


def test_hdfs_layout_needs_the_standard_library_only() -> None:
    tops = {
        name
        for module in SOURCES
        if is_within(module, ("hdfs_layout",))
        for found in imports_in(module)
        for name in [ours(found.names)[-1] if ours(found.names) else found.names[0].partition(".")[0]]
        if name not in sys.stdlib_module_names and not is_within(name, ("hdfs_layout",))
    }
    assert tops <= declared()[1]


def test_no_module_asks_to_be_two() -> None:
    lines = {
        str(path.relative_to(CHECKOUT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES.values()
    }
    too_long = {name: n for name, n in lines.items() if n > MOST_LINES}
    assert not too_long, f"split these modules: {too_long}"
