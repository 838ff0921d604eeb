"""Where a root on HDFS is looked for, from Hadoop's configuration alone: nothing is asked of a cluster here."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hdfs_layout import open_store
from hdfs_layout.hdfs.config import HadoopConfig, find_namenodes, load_hadoop_config
from hdfs_layout.hdfs.store import HdfsStore
from mr_ml.errors import BadDataError, UsageError

SINGLE = {
    "fs.defaultFS": "hdfs://nn.example.com:8020",
    "dfs.namenode.http-address": "nn.example.com:50070",
    "dfs.namenode.https-address": "nn.example.com:50470",
}
HA = {
    "fs.defaultFS": "hdfs://prod",
    "dfs.nameservices": "prod, other",
    "dfs.ha.namenodes.prod": "nn1,nn2",
    "dfs.namenode.rpc-address.prod.nn1": "a.example.com:8020",
    "dfs.namenode.rpc-address.prod.nn2": "b.example.com:8020",
    "dfs.namenode.http-address.prod.nn1": "a.example.com:9870",
    "dfs.namenode.http-address.prod.nn2": "0.0.0.0:9999",
    "dfs.namenode.https-address.prod.nn1": "a.example.com:9871",
    "dfs.namenode.https-address.prod.nn2": "b.example.com:9871",
    "dfs.namenode.rpc-address.other": "c.example.com:8020",
}


def write_site(folder: Path, name: str, properties: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f"<property><name>{key}</name><value>{value}</value></property>" for key, value in properties.items())
    text = f'<?xml version="1.0"?>\n<!-- ours -->\n<configuration>{"".join(lines)}</configuration>\n'
    (folder / f"{name}.xml").write_text(text, encoding="utf-8")


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], str]:
    """Make the environment that of a machine with these properties."""
    for name in ("HADOOP_HOME", "HADOOP_USER_NAME"):
        monkeypatch.delenv(name, raising=False)

    def configure(properties: dict[str, str]) -> str:
        write_site(tmp_path, "core-site", {key: text for key, text in properties.items() if not key.startswith("dfs.")})
        write_site(tmp_path, "hdfs-site", {key: text for key, text in properties.items() if key.startswith("dfs.")})
        monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
        return str(tmp_path)

    return configure


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "uri", "authority", "urls"),
    [
        (SINGLE, "hdfs://nn.example.com:8020", "nn.example.com:8020", ["http://nn.example.com:50070"]),
        (SINGLE, "hdfs://NN.example.com", "NN.example.com", ["http://nn.example.com:50070"]),
        (SINGLE, "hdfs://", "nn.example.com:8020", ["http://nn.example.com:50070"]),
        (SINGLE, "webhdfs://", "nn.example.com:8020", ["http://nn.example.com:50070"]),
        # another cluster than the configuration's: the usual port, never an address of the configuration's
        (SINGLE, "hdfs://nn.example.com:9000", "nn.example.com:9000", ["http://nn.example.com:9870"]),
        (SINGLE, "hdfs://elsewhere", "elsewhere", ["http://elsewhere:9870"]),
        (SINGLE, "webhdfs://elsewhere:1234", "elsewhere:1234", ["http://elsewhere:1234"]),
        (SINGLE, "webhdfs://elsewhere", "elsewhere", ["http://elsewhere:9870"]),
        (SINGLE, "swebhdfs://elsewhere", "elsewhere", ["https://elsewhere:9871"]),
        ({**SINGLE, "dfs.http.policy": "HTTPS_ONLY"}, "hdfs://", SINGLE["fs.defaultFS"][7:], ["https://nn.example.com:50470"]),
        ({**SINGLE, "dfs.http.policy": "HTTP_AND_HTTPS"}, "hdfs://", SINGLE["fs.defaultFS"][7:], ["http://nn.example.com:50070"]),
        (
            {"fs.defaultFS": "hdfs://nn:1", "dfs.namenode.http-address": "0.0.0.0:7"},
            "hdfs://nn:1", "nn:1", ["http://nn:7"],
        ),
        ({"fs.defaultFS": "hdfs://nn:1"}, "hdfs://nn:1", "nn:1", ["http://nn:9870"]),
        ({"fs.defaultFS": "webhdfs://nn:50070/x"}, "hdfs://", "nn:50070", ["http://nn:50070"]),
        (
            {"fs.defaultFS": "hdfs://x:1", "dfs.namenode.rpc-address": "nn:1", "dfs.namenode.http-address": "nn:2"},
            "hdfs://nn:1", "nn:1", ["http://nn:2"],
        ),
        (HA, "hdfs://prod", "prod", ["http://a.example.com:9870", "http://b.example.com:9999"]),
        (HA, "hdfs://", "prod", ["http://a.example.com:9870", "http://b.example.com:9999"]),
        (HA, "webhdfs://prod", "prod", ["http://a.example.com:9870", "http://b.example.com:9999"]),
        (HA, "swebhdfs://prod", "prod", ["https://a.example.com:9871", "https://b.example.com:9871"]),
        (HA, "hdfs://b.example.com:8020", "b.example.com:8020", ["http://b.example.com:9999"]),
        (HA, "hdfs://other", "other", ["http://c.example.com:9870"]),
        ({}, "hdfs://[::1]:8020", "[::1]:8020", ["http://[::1]:9870"]),
    ],
)  # fmt: skip
def test_where_the_namenodes_are(properties: dict[str, str], uri: str, authority: str, urls: list[str]) -> None:
    scheme, _, given = uri.partition("://")
    found = find_namenodes(HadoopConfig("/etc/conf", properties), scheme=scheme, authority=given)
    assert (found.authority, list(found.urls)) == (authority, urls)
    assert found.source


@pytest.mark.parametrize(
    "authority",
    [
        "a b",
        "a:b",
        "a:0",
        "a:65536",
        "a:123456",
        "user@host",
        "host:80:80",
        "a?b",
        "a#",
        "::1",
        "[x]",
        "é",
        "a..b",
        ".",
        "a" * 64,
    ],
)
def test_what_is_no_address_is_refused(authority: str) -> None:
    for scheme in ("hdfs", "webhdfs"):
        with pytest.raises(UsageError, match="HOST"):
            find_namenodes(HadoopConfig(), scheme=scheme, authority=authority)


@pytest.mark.parametrize("default", [None, "", "file:///", "s3a://bucket", "hdfs://", "nn:8020"])
def test_a_root_without_a_host_needs_a_default_that_is_hdfs(default: str | None) -> None:
    config = HadoopConfig("/etc/conf", {} if default is None else {"fs.defaultFS": default})
    with pytest.raises(UsageError, match=r"fs\.defaultFS"):
        find_namenodes(config, scheme="hdfs", authority="")


def test_a_name_service_without_addresses_is_refused() -> None:
    config = HadoopConfig("/etc/conf", {"dfs.nameservices": "prod", "dfs.ha.namenodes.prod": "nn1,nn2"})
    with pytest.raises(UsageError, match="/etc/conf"):
        find_namenodes(config, scheme="hdfs", authority="prod")


# --- the files --------------------------------------------------------------------------------------------------------


def test_variables_are_replaced() -> None:
    properties = {
        "host": "nn", "port": " 80${last} ", "last": "20", "address": "${host}:${port}", "missing": "a${nothing}b",
        "round": "${round}x", "user": "${env.WHO}", "default": "${env.NOBODY:-root}",
    }  # fmt: skip
    config = HadoopConfig("/etc/conf", properties, {"WHO": "me"})
    assert config.get("address") == "nn: 8020"
    assert config.get("port") == "8020"
    assert config.get("missing") == "ab"
    assert set(config.get("round")) <= set("${round}x")
    assert (config.get("user"), config.get("default"), config.get("not set")) == ("me", "root", "")


def test_later_properties_go_before_earlier_ones(tmp_path: Path) -> None:
    write_site(tmp_path, "core-site", {"a": "core", "b": "core"})
    write_site(tmp_path, "hdfs-site", {"b": "hdfs"})
    write_site(tmp_path, "yarn-site", {"b": "not read"})
    config = load_hadoop_config({"HADOOP_CONF_DIR": str(tmp_path)})
    assert (config.get("a"), config.get("b")) == ("core", "hdfs")


def test_where_the_configuration_is(tmp_path: Path) -> None:
    home, conf = tmp_path / "home", tmp_path / "conf"
    write_site(home / "etc" / "hadoop", "core-site", {"from": "home"})
    write_site(conf, "core-site", {"from": "conf"})
    assert load_hadoop_config({"HADOOP_HOME": str(home)}).get("from") == "home"
    assert load_hadoop_config({"HADOOP_HOME": str(home), "HADOOP_CONF_DIR": str(conf)}).get("from") == "conf"
    assert load_hadoop_config({"HADOOP_HOME": str(home), "HADOOP_CONF_DIR": ""}).get("from") == "home"
    with pytest.raises(UsageError, match="HADOOP_CONF_DIR"):
        load_hadoop_config({"HADOOP_CONF_DIR": str(conf / "missing")})


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not XML",
        b"<configuration><property>",
        b"<html></html>",
        b'<?xml version="1.0" encoding="no-such"?><configuration/>',
        b"<configuration>\xff\xfe</configuration>",
        b"<configuration>&nothing;</configuration>",
        b'<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/passwd">]><configuration><property><name>a</name>'
        b"<value>&e;</value></property></configuration>",
        b'<!DOCTYPE c [<!ENTITY e "x">]><configuration/>',
        b'<!DOCTYPE c [<!ENTITY e0 "x">' + BOMB.encode() + b"]><configuration>&e11;</configuration>",
    ],
)
def test_a_file_that_is_not_hadoops_xml_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "core-site.xml").write_bytes(text)
    with pytest.raises(UsageError, match=r"core-site\.xml"):
        load_hadoop_config({"HADOOP_CONF_DIR": str(tmp_path)})


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hdfs-site.xml").mkdir()
    with pytest.raises(UsageError, match=r"hdfs-site\.xml"):
        load_hadoop_config({"HADOOP_CONF_DIR": str(tmp_path)})


def test_properties_without_a_name_or_a_value_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "core-site.xml").write_text(
        "<configuration><property><value>x</value></property><property><name> a </name></property>"
        "<property><name>b</name><value> 1 </value><final>true</final></property></configuration>"
    )
    config = load_hadoop_config({"HADOOP_CONF_DIR": str(tmp_path)})
    assert (config.get("a"), config.get("b")) == ("", "1")


# --- opening a root ---------------------------------------------------------------------------------------------------


def test_the_root_is_spelled_one_way(configure: Callable[[dict[str, str]], str]) -> None:
    configure(HA)
    for root in ("hdfs:///data/ml", "hdfs://prod/data/ml/", "HDFS://prod//data//ml", "hdfs://prod/data/ml"):
        assert open_store(root).root == "hdfs://prod/data/ml"
    assert open_store("hdfs://").root == open_store("hdfs:///").root == "hdfs://prod/"
    assert open_store("hdfs:///").uri("models/x") == "hdfs://prod/models/x"
    assert open_store("hdfs:///data").uri("a b%20#?") == "hdfs://prod/data/a b%20#?"
    assert open_store("webhdfs://elsewhere:1/data").uri("x") == "webhdfs://elsewhere:1/data/x"


@pytest.mark.parametrize(
    "root", ["hdfs://nn/a/../b", "hdfs://nn/./a", "hdfs://nn/a\nb", "hdfs://nn/\udc80", "hdfs://nn/.."]
)
def test_a_hostile_root_is_refused(configure: Callable[[dict[str, str]], str], root: str) -> None:
    configure({})
    with pytest.raises(UsageError, match="root"):
        open_store(root)


def test_a_name_that_is_not_utf8_is_refused(configure: Callable[[dict[str, str]], str]) -> None:
    """A local folder can have it; HDFS would store another name."""
    configure({})
    store = open_store("hdfs://nn/data")
    for call in (lambda: store.read("a\udc80"), lambda: store.write("a\udc80", b""), lambda: store.uri("a\udc80")):
        with pytest.raises(BadDataError, match="UTF-8"):
            call()


def hdfs_store() -> HdfsStore:
    store = open_store("hdfs:///")
    assert isinstance(store, HdfsStore)
    return store


def test_who_asks(configure: Callable[[dict[str, str]], str], monkeypatch: pytest.MonkeyPatch) -> None:
    configure(HA)
    monkeypatch.setenv("USER", "a lie")
    monkeypatch.setenv("LOGNAME", "a lie")
    assert hdfs_store().client.user == pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setenv("HADOOP_USER_NAME", "etl")
    assert hdfs_store().client.user == "etl"
    configure({**HA, "hadoop.security.authentication": "kerberos"})
    assert hdfs_store().client.user is None


@pytest.mark.parametrize(("text", "umask"), [("", 0o022), ("077", 0o077), ("0002", 0o002), ("7", 0o007)])
def test_umask(configure: Callable[[dict[str, str]], str], text: str, umask: int) -> None:
    configure({**SINGLE, "fs.permissions.umask-mode": text})
    assert hdfs_store().client.umask == umask


@pytest.mark.parametrize("text", ["u=rwx,g=rx,o=", "9", "7777", "-1", "٢"])
def test_a_umask_that_is_not_octal_is_refused(configure: Callable[[dict[str, str]], str], text: str) -> None:
    configure({**SINGLE, "fs.permissions.umask-mode": text})
    with pytest.raises(UsageError, match="umask"):
        open_store("hdfs:///")


def run_without(package: str, code: str, environment: dict[str, str]) -> str:
    """Run code in a process that cannot import a package; what it prints."""
    hidden = f"import sys; sys.modules[{package!r}] = None\n{code}"
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path]), **environment}
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=True, env=settings)
    return done.stdout


SAY = """
from hdfs_layout import open_store
from mr_ml.errors import UsageError
try:
    open_store('hdfs://127.0.0.1:1/x'){call}
except UsageError as error:
    print(error.exit_code, error)
"""


def test_without_requests_the_message_says_what_to_install(tmp_path: Path) -> None:
    said = run_without("requests", SAY.format(call=""), {"HADOOP_CONF_DIR": str(tmp_path)})
    assert said.startswith("2 expected the Python package requests")
    assert "pip install 'mr_ml[hdfs]'" in said


def test_kerberos_without_its_package(tmp_path: Path) -> None:
    write_site(tmp_path, "core-site", {"hadoop.security.authentication": "kerberos"})
    call = SAY.format(call=".exists('x')")
    said = run_without("requests_gssapi", call, {"HADOOP_CONF_DIR": str(tmp_path)})
    assert said.startswith("2 expected the Python package requests-gssapi")
    assert "pip install 'mr_ml[hdfs,kerberos]'" in said


def test_a_local_root_needs_neither(tmp_path: Path) -> None:
    code = (
        f"from hdfs_layout import open_store; print(open_store({str(tmp_path)!r}).list(''), 'urllib3' in sys.modules)"
    )
    assert run_without("requests", code, {}) == "() False\n"
