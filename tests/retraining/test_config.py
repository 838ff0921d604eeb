"""retrain.yaml: what is right is read as it was meant, and what is wrong is said with its line, all at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest
import yaml  # type: ignore[import-untyped]
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.errors import StorageError, UsageError
from mr_ml.packing.choices import PackChoices
from mr_ml.readers.base import format_named
from mr_ml.readers.registry import FORMATS
from mr_ml.retraining import config_schema
from mr_ml.retraining.config import RetrainConfig, load_config
from mr_ml.retraining.sections import ReaderRules
from mr_ml.settings.yaml_tree import MAX_BYTES, read_tree

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "docs" / "examples" / "retrain.yaml"
SECRET = "https://hooks.example/T0/very-secret"
LEAST = {"model": "ctr", "input": {"location": "/raw/dt={date}", "days": 28}}


def loaded(folder: Path, text: str | bytes, **environment: str) -> RetrainConfig:
    path = folder / "retrain.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(path, environment=environment)


def refused(folder: Path, text: str | bytes, **environment: str) -> list[str]:
    """Return the lines of the message without the name of the file."""
    with pytest.raises(UsageError) as error:
        loaded(folder, text, **environment)
    assert error.value.exit_code == 2
    name = str(folder / "retrain.yaml")
    return [line.removeprefix(f"{name}:") for line in str(error.value).splitlines()]


def with_section(section: str) -> str:
    return f"model: ctr\ninput: {{location: '/raw/dt={{date}}', days: 28}}\n{section}\n"


def test_the_least_file_has_the_defaults(tmp_path: Path) -> None:
    config = loaded(tmp_path, json.dumps(LEAST))
    assert (config.dataset_name, config.timezone, config.warm_start, config.root) == ("ctr", "UTC", True, None)
    assert (config.split.by, config.split.test_days, config.runner.name) == ("time", 1, "local")
    assert (config.kind, config.train_options) == ("linear", {})
    assert (config.gate, config.retention) == (type(config.gate)(), type(config.retention)())


def test_a_folder_may_be_named_by_a_uri(tmp_path: Path) -> None:
    text = f"root: file://{tmp_path}\nmodel: ctr\ninput: {{location: 'file://{tmp_path}/dt={{date}}', days: 28}}\n"
    assert loaded(tmp_path, text).root == f"file://{tmp_path}"


def test_the_example_is_read_as_yaml_reads_it() -> None:
    """Whatever PyYAML has for a key is there, as text, number or list."""
    config = load_config(EXAMPLE, environment={"WEBHOOK": SECRET}).to_json()

    def same(found: Any, written: Any) -> None:
        if isinstance(written, dict):
            for key, value in written.items():
                # YAML 1.1 takes the key `on` for true
                same(found["on" if key is True else key], value)
        elif isinstance(written, list):
            assert len(found) == len(written)
            for one, other in zip(found, written, strict=True):
                same(one, other)
        else:
            assert found == written or float(found) == float(written)

    same(config, yaml.safe_load(EXAMPLE.read_text()))


WRONG = [
    # keys and types
    ("modle: x", ['3: modle: unknown key; did you mean "model"?']),
    ("reader: {label_colum: y}", ['3: reader.label_colum: unknown key; did you mean "label_column"?']),
    ("split:\n  by: time\n  tst_days: 2", ['5: split.tst_days: unknown key; did you mean "test_days"?']),
    ("gate:\n  bounds:\n    auc: {mn: 0.5}", ['5: gate.bounds.auc.mn: unknown key; did you mean "min"?']),
    ("notify:\n- {on: [failure], command: [x]}\n- {on: [failur], command: [x]}",
     ['5: notify[1].on[0]: expected success, refusal, failure or superseded, found failur; did you mean "failure"?']),
    ("warm_start: 1", ["3: warm_start: expected true or false, found 1"]),
    ('warm_start: "true"', ["3: warm_start: expected true or false, found 'true'"]),
    ("reader: {max_bad_rows: 1.0}", ["3: reader.max_bad_rows: expected a whole number, found 1.0"]),
    ("reader: {max_bad_rows: true}", ["3: reader.max_bad_rows: expected a whole number, found true"]),
    ("reader: [csv]", ['3: reader: expected lines "key: value", found a list']),
    ("runner:", ['3: runner: expected lines "key: value", found nothing']),
    ("lock: {lease_seconds: 1e999}", ["3: lock.lease_seconds: expected a finite number, found 1e999"]),
    ("model: other", ["3: model: expected once, found again; it is in line 1 too"]),
    ("model : other", ["3: model: expected once, found again; it is in line 1 too"]),
    # what YAML has surprises for
    ("warm_start: no", ["3: warm_start: no is yes or no to some"]),
    ("reader: {seed: 010}", ["3: reader.seed: 010 is not the same number to all"]),
    ("reader: {seed: 1_000}", ["3: reader.seed: 1_000 is not the same number"]),
    ("reader: {seed: 0x10}", ["3: reader.seed: 0x10 is not the same number"]),
    ("reader: {seed: 1:30}", ["3: reader.seed: 1:30 is not the same number"]),
    ("dataset: 2026-11-26", ["3: dataset: 2026-11-26 is a date to some"]),
    ("train: {l2: .inf}", ["3: train.l2: .inf is no finite number"]),
    ("train: &a {l2: 1}", ["3: train: expected no anchors and aliases, found '&a'"]),
    ("train: *a", ["3: train: expected no anchors and aliases, found '*a'"]),
    ("train: !!python/object/apply:os.system [x]", ["3: train: expected no tags"]),
    ("reader:\n\tformat: csv", ["4: expected YAML, found fault"]),
    ("reader: a: b", ["3: expected YAML, found fault mapping values are not allowed here"]),
    ("notify: [{webhook: ${W}}]", ["3: expected YAML, found fault while parsing a flow mapping"]),
    ("---\nmodel: x", ["3: expected one document, found another"]),
    ("? [a]\n: 1", ["3: expected a word as key"]),
    # values, by the parts that use them
    ("dataset: ../x", ["3: dataset: expected a name, found ../x"]),
    ("timezone: Europe/Belin", ["3: timezone: expected the name of a time zone, found 'Europe/Belin'; did you mean"]),
    ("root: s4://bucket/x", ["3: root: expected a folder or one of file://, hdfs://"]),
    ("runner: {name: locl}", ["3: runner.name: expected one of inline, local, hadoop, "]),
    ("runner: {memory: 4Q}", ["3: runner.memory: expected a size such as 500M or 2G, found '4Q'"]),
    ("reader: {format: parket}", ['3: reader.format: did you mean "parquet"?']),
    ("reader: {format: zzz}", ['3: reader.format: there is']),
    ("reader: {format: csv, delimiter: ab}", ["3: reader.delimiter: expected one ASCII character"]),
    ("reader: {missing: maybe, decimal: .}", ['3: reader.missing: expected "missing" error, drop, zero or value:']),
    ("train: {losss: x}", ['3: train.losss: unknown key; did you mean "loss"?']),
    ("train:\n  loss: logistc\n  l2: -1", ["4: train.loss: expected one of logistic", "5: train.l2: expected a num"]),
    ("train:\n  loss: tweedie:power=3", ["4: train.loss: a linear model: "]),
    ("dataset: \"a\\ud800\"", ["3: dataset: expected text that UTF-8 can write"]),
    ("train: {kind: liner}", ['3: train.kind: did you mean "linear"?']),
    ("train: {dataset: x@1}", ["3: train.dataset: is not said here"]),
    ("retention: {models: {versions: 0}}", ["3: retention.models.versions: expected a number of at least 1, found 0"]),
    ("metrics_file: /x/y.txt", ["3: metrics_file: expected a path of this machine that ends in .prom"]),
    ("notify: [{on: [failure], webhook: 'ftp://x'}]", ["3: notify[0].webhook: expected a URL"]),
    ("notify: [{on: [failure], command: page me}]", ["3: notify[0].command: expected a list, found page me"]),
    ("notify: [{on: [failure], command: []}]", ["3: notify[0].command: expected a program"]),
    ("notify: [{on: [], command: [x]}]", ["3: notify[0].on: expected at least one of"]),
    ("train: {l2: '${NO_SUCH}'}", ["3: train.l2: expected an environment variable NO_SUCH, found none"]),
    ("train: {l2: '${EMPTY}'}", ["3: train.l2: expected an environment variable EMPTY, found an empty one"]),
    ("train: {l2: '${N}'}", ["3: train.l2: expected a number, found '${N}'", "3: train: expected no ${NAME}"]),
    ("dataset: '${N}'", ["3: dataset: expected no ${NAME}: it is for secrets, and this is kept in manifests"]),
    ("reader: {like: '${N}'}", ["3: reader: expected no ${NAME}"]),
    ("notify: [{on: [failure], command: [send, '-k${N}']}]", ["3: notify[0].command: expected no ${NAME}: "]),
    ("root: '${N'", ["3: root: expected ${NAME} of an environment variable"]),
    # what does not go together
    ("split: {by: hash, test_days: 2}", ["3: split.test_days: is for a split by time, but this one is by hash"]),
    ("split: {test_share: 0.1}", ["3: split.test_share: is for a split by hash, but this one is by time"]),
    ("split: {test_days: 28}", ["3: split.test_days: expected fewer than input.days, 28"]),
    ("reader: {split_by: user}", ["3: reader.split_by: keeps the rows of a group in one split"]),
    ("reader: {format: libsvm, label_column: y}", ["3: reader.label_column: is for csv, but the format is libsvm"]),
    ("reader: {index_base: 1, label_column: y}", ["3: reader: expected keys of one format"]),
    ("root: /data\nrunner:\n  name: hadoop", ["5: runner.name: \"runner\" hadoop needs a root that"]),
    ("root: hdfs:///d\nrunner:\n  name: hadoop\n  workers: 2", ["6: runner.workers: \"workers\" says how"]),
    ("runner: {config: c.yaml}", ["3: runner.config: \"config\" says how to use a cluster"]),
    ("gate: {bounds: {auc: {min: 0.9, max: 0.7}}}", ['3: gate.bounds.auc.min: expected "min" of at most "max" 0.7']),
    ("train: {solver: newton, l1: 0.1}", ["3: train.solver: expected one of auto, proximal-lbfgs, proximal-lbf"]),
    ("train: {solver: lbfgs, non_negative: true}", ["3: train.solver: expected one of auto, proximal-lbfgs, "]),
    ("train: {solver: newtn}", ["3: train.solver: solver 'newtn' is not known (did you mean 'newton'?)"]),
    ("notify: [{on: [failure]}]", ["3: notify[0]: expected either \"command\" or \"webhook\", found neither"]),
    ("notify: [{on: [failure], command: [x], webhook: 'http://x/'}]", ["3: notify[0].command: expected either"]),
]  # fmt: skip


@pytest.mark.parametrize(("section", "expected"), WRONG, ids=[repr(section) for section, _ in WRONG])
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, section: str, expected: list[str]) -> None:
    lines = refused(tmp_path, with_section(section), EMPTY="", N="12")
    assert len(lines) == len(expected), lines
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)


WRONG_INPUT = [
    ("{days: 3}", 'input: expected the key "location", found none'),
    ("{location: /raw, days: 3}", "input.location: expected as location"),
    ("{location: '/{date}', dayz: 3}", 'input.dayz: unknown key; did you mean "days"?'),
    ("{location: '/{date}', days: 3, min_days: 4}", "input.min_days: expected min_days up to the 3 days"),
    ("{location: '/{date}', days: 3, late_days: 3}", "input.late_days: expected late_days below the 3 days"),
    ("{location: '/{date}', days: 3, delay_days: -1}", "input.delay_days: expected a number of at least 0"),
]


@pytest.mark.parametrize(("section", "expected"), WRONG_INPUT)
def test_what_is_wrong_with_the_input(tmp_path: Path, section: str, expected: str) -> None:
    (line,) = refused(tmp_path, f"model: ctr\ninput: {section}\n")
    assert line.startswith(f"2: {expected}")


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    sections = [section for section, _ in WRONG if "\n" not in section]
    keys = ("warm_start: no", "timezone: Europe/Belin", "reader: {seed: 010}", "train: {losss: x}", "lock: {x: 1}")
    assert set(keys[:4]) <= set(sections)
    lines = refused(tmp_path, "input: {days: 0}\n" + "\n".join(keys))
    places = [line.split(": ")[:2] for line in lines]
    assert places == [
        ["1", "input.days"], ["1", "input"], ["1", 'expected the key "model", found none'], ["2", "warm_start"],
        ["3", "timezone"], ["4", "reader.seed"], ["5", "train.losss"], ["6", "lock.x"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", '1: expected the key "input", found none'),
        (b"- a\n", '1: expected lines "key: value", found a list'),
        (b"model: ctr\n\xff", "2: expected UTF-8, found the byte 0xff"),
        (b"model: ctr\nroot: \x00", "2: expected text, found the character 0x0000"),
        (b"x" * (MAX_BYTES + 1), " expected settings of at most 128 kB"),
        (b"[" * MAX_BYTES, "1: expected at most 16 levels"),
        (b"a: &a [x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "1: a: expected no anchors"),
        (b"{" * 5 + b'"x":' * (MAX_BYTES // 4 - 10), "1: expected YAML"),
    ],
    ids=["empty", "list", "latin", "nul", "large", "deep", "bomb", "open"],
)
def test_what_is_no_settings_file_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    assert refused(tmp_path, content)[0].startswith(expected)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "retrain.yaml")
    with pytest.raises(UsageError, match="expected a file, found a pipe"):
        load_config(tmp_path / "retrain.yaml")
    with pytest.raises(StorageError):
        load_config(tmp_path / "no.yaml")


TEXTS = st.text(max_size=8)
PLAIN = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    PLAIN | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


@examples(60)
@given(TREES)
def test_json_is_read_as_it_was_written(tree: Any) -> None:
    """JSON is YAML, and means one thing: the standard library's writer is the oracle."""
    text = json.dumps(tree)
    if "${" not in text:
        node, faults = read_tree(text.encode(), {})
        assert (faults, node.plain()) == ([], tree)


@examples(40)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_whatever_bytes_are_in_a_file_it_is_read_or_refused(tmp_path_factory: Any, noise: bytes, at: int) -> None:
    content = EXAMPLE.read_bytes()
    path = tmp_path_factory.mktemp("noise") / "retrain.yaml"
    path.write_bytes(content[:at] + noise + content[at:])
    message = ""
    try:
        load_config(path, environment={"WEBHOOK": SECRET})
    except UsageError as error:
        message = str(error)
    assert "very-secret" not in message


def test_what_the_environment_has_is_used_and_never_shown(tmp_path: Path) -> None:
    told = "- {on: [failure], webhook: '${HOOK}'}\n- {on: [success], webhook: 'https://hooks.example/x${KEY}'}"
    text = with_section(f"root: '${{PLACE}}/ml'\nnotify:\n{told}")
    config = loaded(tmp_path, text, PLACE="/secret-place", HOOK=SECRET, KEY="k3y-k3y", OTHER="unused")
    assert (config.root, config.notify[0].webhook) == ("/secret-place/ml", SECRET)
    assert config.notify[1].webhook == "https://hooks.example/xk3y-k3y"
    shown = repr(config) + repr(config.notify) + json.dumps(config.to_json())
    assert [text in shown for text in ("secret", "k3y-k3y", "${HOOK}", "x${KEY}")] == [False, False, True, True]
    assert config.variables == ["HOOK", "KEY", "PLACE"]
    said = f"cannot reach {SECRET}: host='hooks.example', url: /T0/very-secret (key k3y-k3y)"
    assert config.hide(said) == "cannot reach ${HOOK}: host='hooks.example', url: ${HOOK} (key ${KEY})"


@pytest.mark.parametrize(
    "section",
    [
        *(
            f"{key}: '${{KEY}}'"
            for key in ("root", "dataset", "timezone", "on_unfinished", "metrics_file", "warm_start")
        ),
        "reader: {format: '${KEY}'}",
        "reader: {format: csv, delimiter: '${KEY}', missing: '${KEY}', seed: '${KEY}'}",
        "train: {loss: '${KEY}', l2: '${KEY}'}",
        "train: {kind: '${KEY}'}",
        "runner: {name: '${KEY}', memory: '${KEY}'}",
        "gate: {metric: '${KEY}', bounds: {auc: '${KEY}'}}",
        "notify: [{on: ['${KEY}'], webhook: '${KEY}'}, {on: [failure], webhook: '${KEY}'}]",
        "notify: [{on: [failure], webhook: '${KEY}'}]",
        "split: {by: '${KEY}'}",
    ],
)
def test_no_message_has_what_the_environment_has(tmp_path: Path, section: str) -> None:
    """Whatever check the value does not pass."""
    assert "s3cr3t" not in "\n".join(refused(tmp_path, with_section(section), KEY="s3cr3t://s3cr3t"))


def test_a_dollar_can_be_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, with_section("root: '/a$b/$${HOME}'"), HOME="no")
    assert config.root == "/a$b/${HOME}"


def test_paths_do_not_depend_on_where_the_command_runs(tmp_path: Path) -> None:
    text = (
        "model: m\ninput: {location: 'raw/{date}', days: 3}\nroot: data\nmetrics_file: m.prom\n"
        "notify: [{on: [failure], command: [./page, ./x]}, {on: [failure], command: [page]}]"
    )
    config = loaded(tmp_path, text)
    assert (config.root, config.input.location) == (f"{tmp_path}/data", f"{tmp_path}/raw/{{date}}")
    assert config.metrics_file == f"{tmp_path}/m.prom"
    assert [entry.command for entry in config.notify] == [(f"{tmp_path}/./page", "./x"), ("page",)]


def test_a_folder_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]"
    folder.mkdir()
    text = "model: m\ninput: {location: 'raw/{date}', days: 3}\n"
    with pytest.raises(UsageError, match="would be read as a pattern"):
        loaded(folder, text)
    assert loaded(folder, text.replace("raw", "/raw")).input.location == "/raw/{date}"


def test_the_reader_has_every_parameter_of_pack() -> None:
    own = {item.name for item in fields(PackChoices)} - {"split", "split_inputs", "folds", "text"}
    of_formats = {name for form in FORMATS.built_in for name in format_named(form).parameters}
    assert {item.name for item in fields(ReaderRules)} == own | (of_formats - {"no_header"})


def test_what_the_reader_says_is_what_pack_takes(tmp_path: Path) -> None:
    section = "reader: {header: false, drop: [a, 3], seed: 5}\nsplit: {by: hash}"
    config = loaded(tmp_path, with_section(section))
    choices = config.reader.pack_choices()
    assert choices.seed == 5
    assert choices.text == {
        "no_header": True, "header": False, "drop": ("a", 3), "label_weights": False, "delimiter": ",", "decimal": ".",
        "thousands": "", "percent": False, "missing": "error", "unseen": "error",
    }  # fmt: skip


def test_the_schema_that_is_shipped_is_that_of_the_sections() -> None:
    shipped, made = json.loads(config_schema.FILE.read_text()), config_schema.schema()
    assert keys_of(shipped) == keys_of(made), "write it anew: python -m mr_ml.retraining.config_schema"
    if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 14):
        # older ones say the same of types in other words
        assert shipped == made, "write it anew: python -m mr_ml.retraining.config_schema"


VALIDATOR = jsonschema.Draft202012Validator(json.loads(config_schema.FILE.read_text()))


def test_editors_accept_the_example() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    document = json.loads(json.dumps(yaml.load(EXAMPLE.read_text(), yaml.BaseLoader)))
    # all text: only keys are held against the schema
    wrong = [error.message for error in VALIDATOR.iter_errors(document) if error.validator == "additionalProperties"]
    assert not wrong
    VALIDATOR.validate(load_config(EXAMPLE, environment={"WEBHOOK": SECRET}).to_json() | {"notify": []})


@pytest.mark.parametrize(
    "wrong",
    [
        {"modle": "x"}, {"train": {"losss": "x"}}, {"reader": {"seed": "1"}}, {"split": {"by": "tme"}},
        {"split": {"test_days": 0}}, {"gate": {"bounds": {"auc": {"mn": 1}}}}, {"model": "../x"},
        {"notify": [{"on": ["failure"]}]}, {"notify": [{"on": ["failure"], "command": ["x"], "webhook": "http://x"}]},
    ],
    ids=str,
)  # fmt: skip
def test_editors_and_the_command_refuse_the_same(tmp_path: Path, wrong: dict[str, Any]) -> None:
    VALIDATOR.validate(LEAST)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(LEAST | wrong)
    assert refused(tmp_path, json.dumps(LEAST | wrong))


def test_without_pydantic_it_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "retrain.yaml"
    path.write_text(json.dumps(LEAST))
    code = (
        "import sys; sys.modules['pydantic'] = None\nfrom mr_ml.retraining.config import load_config\n"
        f"try: load_config({str(path)!r})\nexcept Exception as error: print(error.exit_code, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.match(r"69 .*pip install 'mr_ml\[retrain\]'", done.stdout)
    assert pydantic.VERSION


def keys_of(schema: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Key, with those above it -> its default as YAML has it, and its description."""
    found: dict[str, tuple[str, str]] = {}

    def walk(of: dict[str, Any], place: str) -> None:
        for name, value in of.get("properties", {}).items():
            several = [value, *value.get("anyOf", ())]
            several += [one[key] for one in several for key in ("items", "additionalProperties") if key in one]
            inner = next((one["$ref"] for one in several if isinstance(one, dict) and "$ref" in one), None)
            if inner is not None:
                below = {"items": "[]", "additionalProperties": ".METRIC"}
                mark = next((text for key, text in below.items() if key in value), "")
                walk(schema["$defs"][inner.rpartition("/")[2]], f"{place}{name}{mark}.")
            elif name == "train":
                walk(value, "train.")
                walk(value["allOf"][0]["then"], "train.")
            else:
                default = "needed" if name in of.get("required", ()) else _spelled(value.get("default"))
                found.setdefault(place + name, (default, value.get("description", "")))

    walk(schema, "")
    return found


def _spelled(default: Any) -> str:
    return "" if default is None or default == [] else json.dumps(default)


def test_the_tables_of_the_guide_have_every_key() -> None:
    """docs/retraining.md: a row a key, with its default."""
    sections = re.split(r"^## ", (CHECKOUT / "docs" / "retraining.md").read_text(), flags=re.MULTILINE)
    (text,) = [section for section in sections if section.startswith("Every key\n")]
    rows = dict(re.findall(r"^\| `([A-Za-z0-9_.\[\]]+)` \| ([^|]*) \|", text, re.MULTILINE))
    expected = {key: default for key, (default, _) in keys_of(config_schema.schema()).items()}
    assert {key: default.strip("`") for key, default in rows.items()} == expected
