"""The rule: a new thing is a new kind of one noun, and nothing outside that noun's folder asks which kind it has.

Read from the sources, as `test_imports` reads imports. What code outside the folder must not do:

- compare with a registered kind's name, or keep a table of such: ``runner == "local"``, ``{"csv": 1, "libsvm": 2}``;
- ask for a class of another package: ``isinstance(store, LocalStore)``;
- try whether there is an attribute: ``getattr(runner, "python", None)``, ``hasattr(job, "TOKEN")``.

Each of these is a method that the noun's protocol lacks. Not looked at are exceptions, which are told apart by class;
what belongs to Python itself; and options of the command line, which some commands have and others do not.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from test_imports import CHECKOUT, SOURCES

from hdfs_layout.registry import Registry

# "file: what it says" -> why it does not ask for a kind.
_SILENT = "a stored dataclass may say how it is read, and most have nothing to say"
_SECRET = "a text that knows what of it is secret is a text in all else"
ALLOWED = {
    "mr_ml/data/stored.py: getattr(kind, 'formerly', {})": _SILENT,
    "mr_ml/data/stored.py: getattr(kind, 'may_lack', frozenset())": _SILENT,
    "mr_ml/data/stored.py: getattr(kind, 'stored_flat', None)": _SILENT,
    "mr_ml/data/stored.py: hasattr(kind, 'check_stored')": _SILENT,
    "mr_ml/data/stored.py: hasattr(value, 'tolist')": "of numpy, as a caller of the Python API may give it",
    "mr_ml/models/sparse_rows.py: hasattr(x, 'tocsr')": "a matrix of scipy, likewise",
    "mr_ml/exports/api.py: isinstance(model, Model)": "a model or the name of one, whatever its kind",
    "mr_ml/packing/arrays.py: getattr(x, 'columns', None)": "a data frame, likewise",
    "mr_ml/readers/frames.py: getattr(held, 'dtype', getattr(held, 'type', ''))": "a column of any library, likewise",
    "mr_ml/readers/frames.py: getattr(held, 'type', '')": "a column of pyarrow, likewise",
    "mr_ml/readers/frames.py: hasattr(column, 'to_pylist')": "a column of pyarrow, likewise",
    "mr_ml/readers/frames.py: hasattr(x, 'column_names')": "a table of pyarrow, likewise",
    "mr_ml/readers/frames.py: hasattr(x, 'columns')": "a data frame, likewise",
    "mr_ml/readers/tables/avro.py: name == 'null'": "a type of Avro",
    "mr_ml/readers/libsvm/format.py: base == 'auto'": "what feature ids count from, not a solver",
    "mr_ml/retraining/config.py: isinstance(place, FromEnvironment)": _SECRET,
    "mr_ml/retraining/sections.py: isinstance(value, FromEnvironment)": _SECRET,
    "mr_ml/retraining/validate.py: isinstance(node.value, FromEnvironment)": _SECRET,
    "mr_ml/runners/spark/settings.py: key == 'python'": "a setting, not an export",
    "mr_ml/session.py: isinstance(model, Model)": "a model or the name of one, whatever its kind",
}

Question = ast.Compare | ast.Constant | ast.Dict | ast.Call


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text(encoding="utf-8"))


@cache
def registries() -> dict[str, frozenset[str]]:
    """Folder of a noun (the package of its registry) -> the names of its kinds."""
    found: dict[str, frozenset[str]] = {}
    for module, path in SOURCES.items():
        if "Registry(" in path.read_text(encoding="utf-8"):
            folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
            for value in vars(importlib.import_module(module)).values():
                if isinstance(value, Registry):
                    found[folder] = found.get(folder, frozenset()) | frozenset(value)
    return found


def foreign_kinds(module: str) -> dict[str, str]:
    """Name of a kind -> the folder of its noun, for the nouns in whose folder a module is not."""
    return {
        name: folder
        for folder, names in registries().items()
        if not f"{module}.".startswith(f"{folder}.")
        for name in names
        # there they are file systems that Hadoop reads input from, not stores
        if not (module.startswith("mr_ml.runners.hadoop.") and name in ("file", "hdfs", "s3", "s3a"))
    }


@cache
def names_in(module: str) -> dict[str, str]:
    """What a module imports, by the names that it uses: ``Block`` -> ``mr_ml.data.block.Block``."""
    names = {}
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
    return names


def full_name(module: str, text: str) -> str:
    start, _, rest = text.partition(".")
    return ".".join(filter(None, (names_in(module).get(start, f"{module}.{start}"), rest)))


def subject(module: str) -> str:
    """The package by subject: mr_ml.data, hdfs_layout..."""
    return ".".join(module.split(".")[: 2 if module.startswith("mr_ml.") else 1])


def is_of_another_package(module: str, name: str) -> bool:
    defined_in, _, attribute = name.rpartition(".")
    if defined_in not in SOURCES or subject(defined_in) == subject(module):
        return False
    found = getattr(importlib.import_module(defined_in), attribute)
    return not (isinstance(found, type) and issubclass(found, BaseException))


def is_pythons_own(module: str, asked: ast.expr, name: str) -> bool:
    """Of something in the standard library, or a name like ``__module__``."""
    top = full_name(module, ast.unparse(asked).partition("(")[0].partition("[")[0]).partition(".")[0]
    return top in sys.stdlib_module_names or (name.startswith("__") and name.endswith("__"))


def is_an_option(module: str, asked: ast.expr) -> bool:
    return subject(module) == "mr_ml.cli" and ast.unparse(asked) == "options"


def is_a_registry(node: ast.Dict) -> bool:
    """Each value says where a kind is, ``mr_ml.readers.csv.format:FORMAT``: two nouns may have kinds of one name."""
    places = [value.value for value in node.values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return len(places) == len(node.values) and all(re.fullmatch(r"mr_ml[\w.]+:\w+", place) for place in places)


def texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        for item in node.elts:
            yield from texts(item)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def questions(module: str) -> Iterator[Question]:
    """Everything in a module that asks which kind something is."""
    kinds = foreign_kinds(module)
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Compare):
            if any(name in kinds for side in (node.left, *node.comparators) for name in texts(side)):
                yield node
        elif isinstance(node, ast.MatchValue):
            if isinstance(node.value, ast.Constant) and node.value.value in kinds:
                yield node.value
        elif isinstance(node, ast.Dict):
            if is_a_registry(node):
                continue
            nouns = [kinds[name] for key in node.keys if key is not None for name in texts(key) if name in kinds]
            if len(nouns) > len(set(nouns)):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            asked, what = node.args[:2]
            if node.func.id in ("isinstance", "issubclass"):
                classes = what.elts if isinstance(what, ast.Tuple) else [what]
                names = [name for one in classes for name in ast.unparse(one).split(" | ")]
                if any(is_of_another_package(module, full_name(module, name)) for name in names):
                    yield node
            elif node.func.id in ("getattr", "hasattr"):
                for name in texts(what):
                    if not is_pythons_own(module, asked, name) and not is_an_option(module, asked):
                        yield node


def test_nothing_outside_its_folder_asks_for_the_kind() -> None:
    found = {
        f"{SOURCES[module].relative_to(CHECKOUT)}: {ast.unparse(node)}": node.lineno
        for module in SOURCES
        for node in questions(module)
    }
    wrong = [text.replace(": ", f":{line}: ", 1) for text, line in found.items() if text not in ALLOWED]
    assert not wrong, "a method that a protocol lacks:\n" + "\n".join(wrong)
    assert sorted(set(ALLOWED) - set(found)) == [], "these are gone: take them off the list"


def test_each_way_to_ask_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "asks.py"
    source.write_text(
        """
from hdfs_layout import LocalStore, errors
import sys
def ask(store, runner, options):
    options.solver == "newton"
    options.loss in ("another", "logistic")
    {"newton": 1, "lbfgs": 2}
    isinstance(store, LocalStore | int)
    getattr(runner, "python", None)
    hasattr(store, "client")
    match options.loss:
        case "softmax":
            pass
    # these are none
    options.loss == "another", {"newton": 1}, getattr(sys, "ps1", None), isinstance(store, (int, errors.UsageError))
    getattr(store, "__doc__", ""), store == runner
""",
        encoding="utf-8",
    )
    monkeypatch.setitem(SOURCES, "mr_ml.training.asks", source)
    found = sorted(node.lineno for node in questions("mr_ml.training.asks"))
    assert found == [5, 6, 7, 8, 9, 10, 12]
