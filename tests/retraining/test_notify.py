"""Who is told what of a retraining, by real programs and a real web server; and what no output ever has."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, Outcome
from daily import SETTINGS, Daily, day
from hook import Answer, hook, odd, reset, status
from patches import Killed, kill_at

import mr_ml
from hdfs_layout import open_root, read_events
from mr_ml.catalog.decision import Check, Decision
from mr_ml.errors import StorageError
from mr_ml.retraining import notify_command, notify_webhook, work
from mr_ml.retraining.config import RetrainConfig
from mr_ml.retraining.notify import message_of, notify
from mr_ml.retraining.result import RetrainResult
from mr_ml.retraining.sections import Event, NotifyRules
from mr_ml.retraining.window import InputRules

SECRET = "T0p-s3cret/B00&key=%41hidden"
FAILED = RetrainResult(
    model="ctr", window="2026-03-05", outcome="failed", message="expected rows, found none", exit_code=65
)
ALL: tuple[Event, ...] = ("success", "refusal", "failure", "superseded")

# Writes what it was given to the file that is its first argument.
KEEP = "import json, os, sys; json.dump([sys.argv[2:], dict(os.environ), json.load(sys.stdin)], open(sys.argv[1], 'w'))"


def config_with(*entries: NotifyRules) -> RetrainConfig:
    return RetrainConfig(model="ctr", input=InputRules(location="/raw/{date}", days=4), notify=entries)


def told(*entries: NotifyRules, result: RetrainResult = FAILED) -> tuple[list[dict[str, Any]], list[str]]:
    """Tell; returns the events and the warnings."""
    warnings: list[str] = []
    return notify(config_with(*entries), result, warn=warnings.append), warnings


def command(*words: str, on: tuple[Any, ...] = ALL) -> NotifyRules:
    return NotifyRules(on=on, command=words)


def python(source: str, *arguments: object) -> NotifyRules:
    return command(sys.executable, "-c", source, *map(str, arguments))


def webhook(url: str) -> NotifyRules:
    return NotifyRules(on=ALL, webhook=url)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between attempts, and no proxy is asked for this machine."""
    monkeypatch.setattr(notify_webhook, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def test_a_command_has_json_and_variables_and_no_shell(tmp_path: Path) -> None:
    kept, words = tmp_path / "kept", ["$(touch x)", "; rm -rf *", "a b", "ü"]
    hostile = replace(FAILED, message="found \x1b[31m\x00 in `$(touch x)`\nand more")
    events, warnings = told(python(KEEP, kept, *words), result=hostile)
    assert (warnings, [sorted(event) for event in events]) == ([], [["on", "seconds", "to"]])
    arguments, environment, given = json.loads(kept.read_text())
    assert arguments == words
    reason = "found \\x1b[31m\\x00 in `$(touch x)` and more"
    assert given["text"].splitlines()[0] == f"failure: ctr 2026-03-05: {reason}"
    assert (given["event"], given["outcome"], given["reason"], given["exit_code"]) == ("failure", "failed", reason, 65)
    found = {name: environment[f"MR_ML_{name}"] for name in ("EVENT", "OUTCOME", "MODEL", "WINDOW", "EXIT_CODE")}
    assert list(found.values()) == ["failure", "failed", "ctr", "2026-03-05", "65"]
    assert (environment["MR_ML_REASON"], environment["MR_ML_RUN"]) == (reason, "")


def test_the_reason_is_the_first_line_and_the_checks_follow() -> None:
    checks = tuple(
        Check(name=f"shift of {k}\n", passed=False, found="nan", expected="0", numbers={"shift": float("nan")})
        for k in range(30)
    )
    decision = Decision(
        accepted=False, against="ctr@6", checks=checks, metrics={"auc": float("inf")}, published_metrics={}
    )
    refused = replace(
        FAILED, outcome="refused", message="ctr@7 is refused, ctr@6 stays: " + 5000 * "x", decision=decision
    )
    message = message_of(config_with(), refused)
    document = json.loads(message.body)
    first, *others = document["text"].splitlines()
    assert first.startswith("refusal: ctr 2026-03-05: ctr@7 is refused, ctr@6 stays: xxx")
    assert (len(document["reason"]), len(message.variables["MR_ML_TEXT"]), len(others)) == (1000, 1000, 22)
    assert document["decision"]["metrics"] == {"auc": "inf"}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("published", "success"), ("refused", "refusal"), ("failed", "failure"), ("superseded", "superseded")],
)
def test_only_those_who_asked_are_told(outcome: Any, expected: str) -> None:
    entries = [command("true", on=(event,)) for event in ALL]
    events, warnings = told(*entries, result=replace(FAILED, outcome=outcome))
    assert ([event["on"] for event in events], warnings) == ([expected], [])


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (command("/no/such/program"), "No such file or directory"),
        (command("/"), "Permission denied"),
        (python("print('the pager is off'); raise SystemExit(3)"), "exit code 3: the pager is off"),
        (python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), "signal 9"),
        (python("print('x' * 10_000_000); print('y'); raise SystemExit(1)"), "exit code 1: ...xxx"),
        # who does not read what it is given does no wrong
        (command("true"), None),
        (python("import os; os.close(0)"), None),
    ],
)
def test_a_command_that_goes_wrong(entry: NotifyRules, why: str | None) -> None:
    events, warnings = told(entry)
    if why is None:
        assert (warnings, "failed" in events[0]) == ([], False)
    else:
        assert why in events[0]["failed"]
        assert len(warnings[0]) < 800
        assert warnings[0].startswith(f"notify[0]: command {entry.command[0] if entry.command else ''} was not told")


@pytest.mark.parametrize("deaf", [False, True])
def test_a_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr(notify_command, "LIMIT_SECONDS", 1.0)
    monkeypatch.setattr(notify_command, "GRACE_SECONDS", 0.1)
    read, write = os.pipe()
    os.set_inheritable(write, True)
    source = "import os, signal; deaf and signal.signal(15, signal.SIG_IGN); os.fork(); signal.pause()"
    # both hold the pipe open for as long as they live
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: popen(*a, **k, pass_fds=(write,)))
    events, _ = told(python(source.replace("deaf", str(deaf))))
    os.close(write)
    assert "expected an end within 1 seconds" in events[0]["failed"]
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook() as there:
        events, warnings = told(webhook(f"{there.url}/a/b?c=d"))
    assert warnings == []
    assert events[0]["to"] == "webhook 127.0.0.1"
    assert there.paths == ["/a/b?c=d"]
    assert there.got[0]["text"].splitlines()[0] == "failure: ctr 2026-03-05: expected rows, found none"


@pytest.mark.parametrize(
    ("answers", "attempts", "why"),
    [
        ([status(503), status(429), status(200)], 3, None),
        ([reset, status(204)], 2, None),
        ([status(503)], 4, "expected 2xx, found 503 Service Unavailable"),
        ([reset], 4, "Connection reset by peer"),
        ([status(404)], 1, "found 404 Not Found"),
        (
            [status(307, Location="http://elsewhere.example/T0p")],
            1,
            "307 Temporary Redirect to elsewhere.example, which",
        ),
        ([status(302, Location="/again")], 1, "302 Found, which is not followed"),
        ([odd], 1, None),
    ],
)
def test_answers(answers: list[Answer], attempts: int, why: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with hook(*answers) as there:
        events, warnings = told(webhook(f"{there.url}/{SECRET}"))
    assert len(there.got) == attempts
    assert events[0].get("failed") is None if why is None else why in events[0]["failed"]
    assert "T0p" not in str(warnings) + str(events) + caplog.text


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_webhook_that_hangs(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(notify_webhook, "READ_SECONDS", 0.05 if how == "hang" else 10.0)
    monkeypatch.setattr(notify_webhook, "LIMIT_SECONDS", 60.0 if how == "hang" else 0.3)
    with hook(lambda request: getattr(there, how)(request)) as there:
        events, _ = told(webhook(there.url))
    expected = {"hang": "ReadTimeout", "drip": "expected an answer within 0.3 seconds, found none"}
    assert expected[how] in events[0]["failed"]


def test_nobody_listens() -> None:
    with hook() as there:
        pass
    events, _ = told(webhook(f"{there.url}/{SECRET}"))
    assert events[0]["failed"] == "expected an answer, found ConnectionError: Connection refused (attempt 4)"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate by openssl")
def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with hook(context=context) as there:
        events, _ = told(webhook(f"{there.url}/{SECRET}"))
        assert events[0]["failed"] == "expected a connection, found SSLError: self-signed certificate"
        assert there.got == []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
            assert told(webhook(there.url))[1] == []


def test_what_was_killed_before_it_told_tells_it_next_time(
    daily: Daily, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    line = "import json, sys; d = json.load(sys.stdin); print(d['window'], d['event'], file=open(sys.argv[1], 'a'))"
    entry = [sys.executable, "-c", line, str(kept)]
    daily.add(6, 6)
    daily.configure(f"{SETTINGS}notify: [{{on: [success, failure], command: {json.dumps(entry)}}}]\n")
    with monkeypatch.context() as patch:
        kill_at("ended noted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(4))
    assert not kept.exists()
    part = daily.folder / "days" / f"dt={day(5)}" / "part-0.csv"
    whole = part.read_text()
    part.write_text(whole + "1,2\n")
    with monkeypatch.context() as patch:
        # a failure is told right after it is noted
        kill_at("ended noted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5))
    assert kept.read_text().splitlines() == [f"{day(4)} success"]
    part.write_text(whole)
    daily.published(6)
    expected = [f"{day(4)} success", f"{day(5)} failure", f"{day(6)} success"]
    assert kept.read_text().splitlines() == expected
    daily.published(6)
    assert kept.read_text().splitlines() == expected


def test_what_cannot_be_told_changes_nothing(daily: Daily) -> None:
    entries = "[{on: [success], command: [/no/such/program]}, {on: [success], webhook: 'http://127.0.0.1:9/x'}]"
    daily.configure(f"{SETTINGS}notify: {entries}\nmetrics_file: no/such/folder/a.prom\n")
    done = daily.run(4)
    assert (done.code, done.result["outcome"]) == (0, "published")
    assert "warning: notify[0]: command /no/such/program was not told of the success" in done.err
    assert "warning: the metrics file" in done.err
    root = open_root(daily.root)
    log = read_events(root.store, root.layout.run_log(done.result["run"]))
    events = [(event["step"], "failed" in event) for event in log if event["event"] == "retrain"]
    assert events[-3:] == [("metrics", True), ("notified", True), ("notified", True)]
    # what told of it is no outcome
    assert Commands(daily.root)("runs", "list")["runs"][0]["status"] == "published"


# Of itself and of the process that started it, what `ps` shows; and what it was given.
PS = """
import json, os, sys
ours = open(f"/proc/{os.getppid()}/cmdline").read()
seen = [ours, sys.argv, os.environ.get("HOOK"), os.environ["MR_ML_TEXT"], os.environ["MR_ML_REASON"], sys.stdin.read()]
json.dump(seen, open(f"{sys.argv[1]}-{os.getpid()}", "w"))
print("cannot use", os.environ["PLACE"])
sys.exit(1)
"""
PLACE = "pl4ce-of-secrets"


def defect(point: str) -> None:
    """Quote what should not be quoted; and so does what led to it."""
    if point == "packed":
        try:
            raise KeyError(os.environ["HOOK"])
        except KeyError as error:
            raise RuntimeError(f"no {os.environ['PLACE']}") from error


def disk_full(*given: object, **more: object) -> None:
    raise StorageError(f"cannot list /{PLACE}")


def test_secrets_are_in_no_output(daily: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    """A success, a refusal, a defect, bad data, damage; all that is written, said, sent and seen by `ps`."""
    done: list[Outcome] = []
    commands = Commands(daily.root)
    retrain = ("retrain", daily.settings, "--json", "--for")
    # urllib3 warns of odd answers, where nothing else listens to it on stderr
    with hook() as listening, hook(odd, reset, status(404), status(307, Location=f"/{SECRET}")) as secret:
        monkeypatch.setenv("HOOK", f"{secret.url}/{SECRET}")
        monkeypatch.setenv("KEY", "k3y-s3cret")
        monkeypatch.setenv("PLACE", PLACE)
        entries = [
            {"on": ALL, "webhook": "${HOOK}"},
            {"on": ALL, "webhook": f"{listening.url}/${{KEY}}"},
            {"on": ALL, "command": [sys.executable, "-c", PS, str(daily.folder / "seen")]},
        ]
        more = f"metrics_file: '${{PLACE}}/ctr.prom'\nnotify: {json.dumps(entries)}\n"
        daily.configure(SETTINGS.replace("root: root", "root: '${PLACE}/root'") + more)
        daily.add(6, 6)
        done.append(commands.process(*retrain, day(4)))
        daily.add(2, 4, flipped=True)
        with monkeypatch.context() as patch:
            patch.setattr(work, "plan", disk_full)
            done.append(commands.run(*retrain, day(5)))
        with monkeypatch.context() as patch:
            patch.setattr(work, "reached", defect)
            done.append(commands.run(*retrain, day(6)))
        (daily.folder / "days" / f"dt={day(6)}" / "part-0.csv").write_text("1,2\n3\n")
        done.append(commands.run(*retrain, day(6)))
        done.append(commands.run(*retrain, day(6), "--dry-run"))
        done.append(commands.run("status", daily.settings))
        for path in (daily.folder / PLACE / "root" / "models" / "ctr" / "promotions").iterdir():
            path.write_text("damaged")
        done.append(commands.run(*retrain, day(6)))
        done.append(commands.run("status", daily.settings))
        done.append(commands.run("clean", daily.settings, "--json"))
    assert [found.code for found in done] == [0, 3, 70, 65, 0, 0, 65, 65, 0]
    # everybody was asked, and what leaks was heard
    assert (len(listening.got), len(secret.got)) == (5, 6)
    assert "not everything that is old was removed: cannot list /${PLACE}" in done[1].err
    assert "RuntimeError: no ${PLACE}" in done[2].err
    assert "exit code 1: cannot use ${PLACE}" in done[0].err
    written = {str(path): path.read_bytes() for path in daily.folder.rglob("*") if path.is_file()}
    assert sum("/seen-" in path for path in written) == 5
    texts = [text for found in done for text in (found.out, found.err)]
    texts += [*map(json.dumps, listening.got), *(data.decode("latin-1") for data in written.values())]
    for planted in ("s3cret", "B00&key", "%41hidden", "Ahidden", PLACE):
        assert [text for text in texts if planted in text] == []
