"""What S3 refuses, and how it is said: one sentence, the right error, and never a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from refusing_server import Said
from s3_servers import ACCESS_KEY, SECRET_KEY, use_aws

from hdfs_layout import NotFoundError, Store, StoreUnavailableError, open_store
from hdfs_layout.s3.client import client
from mr_ml.cli import main
from mr_ml.errors import StorageError, UsageError

CALLS: dict[str, Callable[[Store], object]] = {
    "read": lambda store: store.read("file"),
    "read_range": lambda store: store.read_range("file", offset=0, length=1),
    "open_read": lambda store: store.open_read("file"),
    "size": lambda store: store.size("file"),
    "exists": lambda store: store.exists("file"),
    "status": lambda store: store.status("file"),
    "checksum": lambda store: store.checksum("file"),
    "list": lambda store: store.list(""),
    "walk": lambda store: store.walk("folder"),
    "write": lambda store: store.write("file", b"content"),
    "write parts": lambda store: store.write("file", [b"x" * (9 << 20)]),
    "publish": lambda store: store.publish(".staged", "file"),
    "publish_tree": lambda store: store.publish_tree(".staged", "file"),
    "remove": lambda store: store.remove("file"),
    "remove_tree": lambda store: store.remove_tree("folder"),
}

REFUSALS = {
    (403, "AccessDenied"): (StorageError, "access is denied (AccessDenied: words of the server). Ask", "s3:ListBucket"),
    (403, "InvalidAccessKeyId"): (StorageError, "an access key that the store does not know", "AWS_PROFILE"),
    (403, "SignatureDoesNotMatch"): (StorageError, "a secret key that does not belong", "AWS_SECRET_ACCESS_KEY"),
    (403, "RequestTimeTooSkewed"): (StorageError, "the clocks of this machine", "Set this machine's clock"),
    (400, "ExpiredToken"): (StorageError, "credentials that have expired", "published versions are intact"),
    (400, "InvalidToken"): (StorageError, "credentials that have expired", "Get new ones"),
    (301, "PermanentRedirect"): (StorageError, "in another region, eu-far-1 (PermanentRedirect)", "Set AWS_REGION"),
    (400, "AuthorizationHeaderMalformed"): (StorageError, "in another region, eu-far-1", "Set AWS_REGION"),
    (404, "NoSuchBucket"): (StorageError, "no bucket 'the-bucket'", "Make it"),
    (503, "SlowDown"): (StoreUnavailableError, "cannot answer at the moment (SlowDown", "Run again later"),
    (500, "InternalError"): (StoreUnavailableError, "cannot answer at the moment", "Run again later"),
    (501, "NotImplemented"): (StorageError, "does not know what was asked of it", "conditional writes"),
    (418, "Teapot"): (StorageError, "found Teapot: words of the server", "See what"),
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal[0]} {refusal[1]}")
def test_a_refusal_is_one_sentence(said: Said, refusal: tuple[int, str]) -> None:
    """Whatever was called; also of requests whose answers have no body."""
    said.status, said.code = refusal
    said.message, said.headers = "words of the server.\nmore", {"x-amz-bucket-region": "eu-far-1"}
    store = open_store("s3://the-bucket/root")
    kind, cause, remedy = REFUSALS[refusal]
    for name, call in CALLS.items():
        with pytest.raises(StorageError) as raised:
            call(store)
        text = str(raised.value)
        assert type(raised.value) is kind, name
        for words in (cause, remedy, "s3://the-bucket/root", "could not "):
            assert words in text, name
        assert text.isprintable()
        assert SECRET_KEY not in text


def test_what_is_missing_is_no_refusal(said: Said) -> None:
    said.status, said.code = 404, "NoSuchKey"
    said.answers = {"list-type=2": "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"}
    store = open_store("s3://the-bucket/root")
    assert not store.exists("file")
    for name in ("read", "read_range", "open_read", "size", "checksum", "list", "walk", "publish", "publish_tree"):
        with pytest.raises(NotFoundError, match="no such file or folder"):
            CALLS[name](store)


def test_who_reads_what_is_missing_is_told_once(said: Said) -> None:
    """In development mode Python says of an object that is given up what releases since 3.13 say in any."""
    said.status, said.code = 404, "NoSuchKey"
    program = (
        "import sys\nfrom hdfs_layout import NotFoundError, open_store\n"
        "try:\n    open_store('s3://the-bucket/root').read('file')\nexcept NotFoundError:\n    print('missing')"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("missing\n", "")


def test_what_was_not_removed_is_said_although_the_answer_is_200(said: Said) -> None:
    key = "<Contents><Key>root/folder/file</Key><Size>1</Size></Contents>"
    said.answers = {"list-type=2": f"<ListBucketResult><KeyCount>1</KeyCount>{key}</ListBucketResult>"}

    def failed(code: str) -> str:
        error = f"<Error><Key>root/folder/file</Key><Code>{code}</Code><Message>words</Message></Error>"
        return f"<DeleteResult>{error}</DeleteResult>"

    store = open_store("s3://the-bucket/root")
    for code, kind, times in (("AccessDenied", StorageError, 1), ("SlowDown", StoreUnavailableError, 8)):
        said.answers["?delete"] = failed(code)
        said.seen.clear()
        with pytest.raises(StorageError, match=f"could not remove 's3://the-bucket/root/folder'.*{code}") as raised:
            store.remove_tree("folder")
        assert type(raised.value) is kind
        assert sum("?delete" in line for line, _ in said.seen) == times


@pytest.mark.parametrize("server", ["moto_server", "versitygw_server"])
def test_a_bucket_that_is_missing_is_no_missing_file(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would mean: no versions yet."""
    request.getfixturevalue(server).use(monkeypatch)
    store = open_store("s3://no-such-bucket-here/root")
    for name, call in CALLS.items():
        with pytest.raises(StorageError, match="no bucket 'no-such-bucket-here'") as raised:
            call(store)
        assert type(raised.value) is StorageError, name


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another-secret"}, "a secret key that does not belong to the access key"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "an access key that the store does not know"),
        ({"AWS_SESSION_TOKEN": "a-token-of-old"}, "credentials that have expired or are not valid"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "expected credentials of AWS; found none"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "found PartialCredentialsError|found none that are complete"),
    ],
)
def test_who_is_not_let_in_is_told_why(
    store: Store, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str | None], words: str
) -> None:
    """A real server checks signatures. No client that was made before is used."""
    store.write("file", b"content")
    for name, value in changed.items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    for call in CALLS.values():
        with pytest.raises(StorageError, match=words) as raised:
            call(store)
        assert type(raised.value) is StorageError
        for secret in (SECRET_KEY, "another-secret", "a-token-of-old"):
            assert secret not in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 69, "expected an answer of http://127.0.0.1:9; found none"),
        ({"AWS_ENDPOINT_URL": "http://u:secret-of-nobody@127.0.0.1:9"}, 69, "expected an answer of http://127.0.0.1:9"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, 2, "expected as endpoint of s3 a URL"),
        ({"AWS_PROFILE": "nobody"}, 2, "The config profile (nobody) could not be found"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 74, "expected credentials of AWS; found none"),
        ({}, 74, "no bucket 'not-there'"),
    ],
)
def test_commands_end_with_the_code_of_what_is_wrong(
    bucket: str,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str | None],
    code: int,
    words: str,
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    assert main(["describe", "rows", "--root", "s3://not-there/root"]) == code
    text = capsys.readouterr().err
    assert words in text
    assert len(text.splitlines()) == 1
    assert "secret-of-nobody" not in text


def test_boto3_is_named_where_it_is_missing(tmp_path: Path) -> None:
    """And nobody else needs it."""
    program = "import sys; sys.modules['boto3'] = None; from mr_ml.cli import run; run()"
    for root, code in ((str(tmp_path), 0), ("s3://bucket/root", 2)):
        done = subprocess.run(
            [sys.executable, "-c", program, "models", "list", "--root", root],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    assert "pip install 'mr_ml[s3]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_other_stores_get_no_checksums_that_they_do_not_know(said: Said) -> None:
    """Nor is a user's own setting overruled."""
    store = open_store("s3://the-bucket/root")
    said.answers = {"PUT ": ""}
    store.write("file", b"content")
    (_, headers) = said.seen[-1]
    assert not [name for name in headers if "trailer" in name.lower() or "checksum" in name.lower()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
        store.write("file", b"content")
    assert [name for name in said.seen[-1][1] if "checksum" in name.lower()]


def test_aws_itself_is_asked_where_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent."""
    use_aws(
        monkeypatch, {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "eu-west-1"}
    )
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    asks = client("s3").meta
    assert asks.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
    assert asks.config.request_checksum_calculation == "when_supported"
    assert asks.config.retries == {"mode": "standard", "total_max_attempts": 6}
    assert open_store("s3a://bucket/a//b/").root == "s3a://bucket/a/b"


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_settings_of_a_profile_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-far-1\nmax_attempts = 2\nretry_mode = legacy\n")
    use_aws(
        monkeypatch, {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "mine", variable: "http://[::1]:9"}
    )
    asks = client("s3").meta
    assert (asks.region_name, asks.endpoint_url) == ("eu-far-1", "http://[::1]:9")
    assert asks.config.retries == {"mode": "legacy", "total_max_attempts": 2}


def test_a_client_serves_a_process_and_an_environment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client("s3")
    assert client("s3") is first
    store.write("file", b"content")
    child = os.fork()
    if not child:
        is_well = client("s3") is not first and store.read("file") == b"content"
        os._exit(0 if is_well else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert client("s3") is not first


def test_a_secret_in_a_root_is_not_repeated() -> None:
    for root in ("s3://key:secret@bucket/x", "s3a://key:secret@bucket/x", "s3n://key:secret@bucket/x"):
        with pytest.raises(UsageError) as raised:
            open_store(root)
        assert "secret@" not in str(raised.value)
        assert "key:" not in str(raised.value)
