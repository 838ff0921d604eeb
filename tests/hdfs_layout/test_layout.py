"""Paths, names and roots: spelled as documented, and hostile ones refused."""

from __future__ import annotations

import ast
import os
import posixpath
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hdfs_layout
from hdfs_layout import Layout, LocalStore, Reference, check_name, open_store, parse_reference, split_path, staged_path
from hdfs_layout.paths import join, version_file, version_of, writing_path
from mr_ml.errors import BadDataError, UsageError

LAYOUT = Layout("/data/ml")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NAMES = st.builds(str.__add__, st.sampled_from(LETTERS + "0123456789"), st.text(LETTERS + "0123456789._-", max_size=99))


def test_every_path_is_spelled_as_documented() -> None:
    assert LAYOUT.datasets == "datasets"
    assert LAYOUT.dataset("iris") == "datasets/iris"
    assert LAYOUT.dataset_version("iris", 3) == "datasets/iris/v000003.json"
    assert LAYOUT.dataset_data("iris", "id-1") == "datasets/iris/data/id-1"
    assert LAYOUT.partition("iris", "id-1", 0) == "datasets/iris/data/id-1/part-00000"
    assert LAYOUT.partition("iris", "id-1", 99_999) == "datasets/iris/data/id-1/part-99999"
    assert LAYOUT.models == "models"
    assert LAYOUT.model("ctr") == "models/ctr"
    assert LAYOUT.model_data("ctr", "run-1") == "models/ctr/data/run-1"
    assert LAYOUT.profile("ctr", "run-1") == "models/ctr/data/run-1/profile"
    assert LAYOUT.inference("ctr", "run-1") == "models/ctr/data/run-1/inference"
    assert LAYOUT.evaluations("ctr", "run-1") == "models/ctr/data/run-1/evaluations"
    assert LAYOUT.evaluation("ctr", "run-1", "rows@3", "test") == "models/ctr/data/run-1/evaluations/rows@3.test.json"
    assert LAYOUT.coef("ctr", "run-1") == "models/ctr/data/run-1/coef.npz"
    assert LAYOUT.promotions("ctr") == "models/ctr/promotions"
    assert LAYOUT.all_retrains == "retrains"
    assert LAYOUT.retrains("ctr") == "retrains/ctr"
    assert LAYOUT.retrain("ctr", "2026-11-26") == "retrains/ctr/2026-11-26"
    assert LAYOUT.kept_pass("r", "measured") == "runs/r/passes/kept-measured"
    assert LAYOUT.journal("ctr", "2026-11-26", 3) == "retrains/ctr/2026-11-26/v000003.json"
    assert LAYOUT.lock("ctr") == "locks/ctr"
    assert LAYOUT.cleaning == "locks/.clean"
    assert LAYOUT.uses == "uses"
    assert LAYOUT.runs == "runs"
    assert LAYOUT.run("run-1") == "runs/run-1"
    assert LAYOUT.run_spec("run-1") == "runs/run-1/spec.json"
    assert LAYOUT.run_warm_start("run-1") == "runs/run-1/warm_start"
    assert LAYOUT.run_log("run-1") == "runs/run-1/log.jsonl"
    assert LAYOUT.run_report("run-1") == "runs/run-1/report.html"
    assert LAYOUT.passes("run-1") == "runs/run-1/passes"
    assert LAYOUT.run_pass("run-1", 12) == "runs/run-1/passes/000012"
    assert LAYOUT.pass_state("run-1", 12) == "runs/run-1/passes/000012/state"
    assert LAYOUT.pass_pairs("run-1", 12) == "runs/run-1/passes/000012/pairs"
    assert LAYOUT.moments("iris", "a1", "test") == "datasets/iris/data/a1/moments-test.npz"
    assert LAYOUT.spill("iris", "a1") == "datasets/iris/data/a1/.spill"
    assert LAYOUT.code("4d1b") == "env/code-4d1b.zip"
    assert LAYOUT.native_code("90ae") == "env/native-90ae.so"
    assert LAYOUT.environments == "env"
    assert LAYOUT.environment("ea02") == "env/python-ea02.tar.gz"
    assert LAYOUT.jobs == "tmp"
    assert LAYOUT.job("request-1") == "tmp/request-1"


def test_every_method_of_the_layout_is_in_the_test_above() -> None:
    source = Path(__file__).read_text("utf-8")
    methods = {name for name in vars(Layout) if not name.startswith("_")} - {"root", "uri"}
    assert methods
    assert {name for name in methods if f"assert LAYOUT.{name}" not in source} == set()


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("/data/ml", "/data/ml/datasets/iris"),
        ("/data/ml/", "/data/ml/datasets/iris"),
        ("/", "/datasets/iris"),
        ("hdfs://host:8020/user/me", "hdfs://host:8020/user/me/datasets/iris"),
        ("s3://bucket", "s3://bucket/datasets/iris"),
    ],
)
def test_uri(root: str, uri: str) -> None:
    assert Layout(root).uri("datasets/iris") == uri
    assert Layout(root).uri("") == root
    with pytest.raises(BadDataError):
        Layout(root).uri("../x")


@given(name=NAMES)
def test_good_names_stay_as_they_are_and_make_paths_of_as_many_parts(name: str) -> None:
    assert check_name(name) == name
    assert split_path(LAYOUT.coef(name, name)) == ("models", name, "data", name, "coef.npz")
    assert split_path(LAYOUT.pass_state(name, 0)) == ("runs", name, "passes", "000000", "state")


@given(name=st.text(max_size=120))
@example(name="a" * 100)
@example(name="a" * 101)
@example(name="iris\n")
@example(name="é")
@example(name="\u0663")
def test_a_name_is_good_or_a_usage_error(name: str) -> None:
    good = 1 <= len(name) <= 100 and name[0] not in "._-" and all(c in LETTERS + "0123456789._-" for c in name)
    for use in (check_name, LAYOUT.dataset, LAYOUT.model, LAYOUT.run, lambda n: LAYOUT.dataset_data("d", n)):
        if good:
            use(name)
        else:
            with pytest.raises(UsageError) as refused:
                use(name)
            assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-rf", "_temporary", "a/b", "a@3", "a b", "a\0", "a\n", "\uff41"]
)
def test_names_that_would_do_harm_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="letter or a digit"):
        check_name(name)


@given(name=NAMES, version=st.none() | st.integers(1, 999_999))
def test_references_are_read_back(name: str, version: int | None) -> None:
    reference = Reference(name, version)
    assert parse_reference(str(reference)) == reference


def test_references_are_written_as_documented() -> None:
    assert str(Reference("iris", 3)) == "iris@3"
    assert str(Reference("iris")) == "iris"
    assert parse_reference("iris@12") == Reference("iris", 12)
    assert parse_reference("iris@latest") == Reference("iris", newest=True)
    assert str(Reference("iris", newest=True)) == "iris@latest"


@pytest.mark.parametrize(
    "text", ["", "@", "@3", "iris@", "iris@0", "iris@03", "iris@-1", "iris@v3", "iris@3 ", "iris@1000000"]
)
def test_bad_references_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@pytest.mark.parametrize("text", ["iris@\u0663", "iris@3@4", "iris@1e3", "iris@Latest", "iris@", "iris@3\n"])
def test_bad_versions_are_shown_escaped(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(ascii(text))):
        parse_reference(text)


def test_numbers_out_of_range_are_refused() -> None:
    for call in (
        lambda: LAYOUT.dataset_version("iris", 0),
        lambda: LAYOUT.dataset_version("iris", 1_000_000),
        lambda: LAYOUT.partition("iris", "id", 100_000),
        lambda: LAYOUT.partition("iris", "id", -1),
        lambda: LAYOUT.run_pass("run", 1_000_000),
        lambda: Reference("iris", 0),
    ):
        with pytest.raises(UsageError, match="number from"):
            call()


@given(version=st.integers(1, 999_999))
def test_version_files_sort_as_their_numbers_and_read_back(version: int) -> None:
    assert version_of(version_file(version)) == version
    if version > 1:
        assert version_file(version - 1) < version_file(version)


@pytest.mark.parametrize(
    "name",
    [
        "v000000.json",
        "v1.json",
        "v0000001.json",
        "v000001.json~",
        ".v000001.json",
        "v00000a.json",
        "v" + "\u0660" * 5 + "\u0661.json",
        "data",
    ],
)
def test_other_files_are_no_versions(name: str) -> None:
    assert version_of(name) is None


PARTS = st.sampled_from(["a", "b.c", "..", ".", "", "...", " ", "a\0b", "\x7f", "ü", "\ud800", "\udc80", "~", "-", "*"])


@given(path=st.text(max_size=30) | st.lists(PARTS, max_size=5).map("/".join))
def test_a_path_stays_below_the_root_or_is_refused(path: str) -> None:
    try:
        parts = split_path(path)
    except BadDataError:
        return
    place = posixpath.join("/the/root", path) if path else "/the/root"
    assert posixpath.normpath(place) == place
    assert place == posixpath.join("/the/root", *parts)
    assert place == "/the/root" or place.startswith("/the/root/")
    os.fsencode(place)
    assert not set(place) & {chr(code) for code in (*range(32), 127)}


def test_temporary_names_are_unique_hidden_and_in_the_same_folder() -> None:
    for folder in ("", "models/ctr"):
        made = {staged_path(folder) for _ in range(100)} | {writing_path(join(folder, "file")) for _ in range(100)}
        assert len(made) == 200
        assert {posixpath.dirname(path) for path in made} == {folder}
        assert {posixpath.basename(path)[0] for path in made} == {"."}


# --- roots ------------------------------------------------------------------------------------------------------------


def test_a_folder_is_a_local_store_whether_it_exists_or_not(tmp_path: Path) -> None:
    assert open_store(str(tmp_path)) == LocalStore(str(tmp_path))
    assert open_store(f"{tmp_path}/") == LocalStore(str(tmp_path))
    assert open_store(f"{tmp_path}/new/folder") == LocalStore(f"{tmp_path}/new/folder")
    assert not (tmp_path / "new").exists()


def test_a_relative_root_stays_where_it_was_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("mr_ml_data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.write("file", b"content")
    assert (tmp_path / "mr_ml_data" / "file").read_bytes() == b"content"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/ml").root == f"{tmp_path}/ml"


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("file:///data/ml", "/data/ml"),
        ("FILE:///data/ml/", "/data/ml"),
        ("file://localhost/data/ml", "/data/ml"),
        ("file:///a%20b/%C3%BC/c%23d", "/a b/ü/c#d"),
        ("file:///~x/../y", "/y"),
    ],
)
def test_file_uris(uri: str, folder: str) -> None:
    assert open_store(uri) == LocalStore(folder)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("", "found nothing"),
        ("s3://", "s3://BUCKET/FOLDER; found 's3://'"),
        ("s3://bucket/../x", "without '.', '..'"),
        ("s3a://bucket/\ud800", "without '.', '..'"),
        ("S3://key:secret@bucket/x", r"credentials by AWS_PROFILE, (?!.*secret@)"),
        ("s3n://key:secret@bucket/x", r"Write s3:// instead(?!.*secret@)"),
        ("gopher://x", "no store in this release"),
        ("hdfs:/user/me", "two slashes"),
        ("s3:/bucket", "two slashes"),
        ("file:/data", "two slashes"),
        ("file://host/data", "file:///that/path"),
        ("file://data", "file:///that/path"),
        ("a\0b", "which is not one"),
        ("file:///a%00b", "which is not one"),
    ],
)
def test_other_roots_are_usage_errors(root: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_store(root)


def test_a_root_that_is_a_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="which is not one"):
        open_store(str(tmp_path / "file"))


# --- paths -----------------------------------------------------------------------------------------------------------


def test_only_paths_spells_paths() -> None:
    folder = Path(hdfs_layout.__file__).parent
    for module in folder.glob("*.py"):
        if module.name == "paths.py":
            continue
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                assert not re.match(r"(datasets|models|runs|passes|data|part-|v%|\.staged|\.writing)", node.value), (
                    module
                )
