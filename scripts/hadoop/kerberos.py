"""A Kerberos realm for a development cluster: MIT's KDC on loopback, and the certificate that HTTPS then needs.

Everything is in `<cluster>/data/kerberos`: krb5.conf, the KDC's database, the keytab of the daemons, the certificates,
and the ticket of the user who runs `up`, who is the superuser of HDFS as ever. All daemons are principals of that user.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import daemons
from description import Cluster, user_name
from distribution import ClusterError

KDC, KRB5_CONF, AUTHORITY = "kdc", "krb5.conf", "authority.pem"
REALM = "DEV.MR-ML"
PASSWORD = "of a development cluster"
_WEB = ("dfs.web.authentication", "hadoop.http.authentication")
HOSTS = ("localhost", "127.0.0.1")
_PROGRAMS = {
    "krb5kdc": "krb5-kdc", "kdb5_util": "krb5-kdc", "kadmin.local": "krb5-admin-server", "kinit": "krb5-user",
}  # fmt: skip
_SBIN = "/usr/sbin"
_SECONDS = 20


def folder_of(cluster: Cluster) -> Path:
    return cluster.data / "kerberos"


def environment(cluster: Cluster) -> dict[str, str]:
    """What makes a process a user of the realm; nothing for a cluster without one."""
    if not cluster.kerberos:
        return {}
    folder = folder_of(cluster)
    return {
        # of Python's and the system's programs; Java is told by a property
        "KRB5_CONFIG": str(folder / KRB5_CONF),
        "KRB5CCNAME": f"FILE:{folder / 'ticket'}",
        "REQUESTS_CA_BUNDLE": str(folder / AUTHORITY),
    }


def answer(cluster: Cluster, url: str, *, seconds: int) -> bytes:
    """What an HTTPS server of the cluster answers to the user who runs `up`; OSError if it does not."""
    command = [_program("curl", "curl"), "--silent", "--fail", "--negotiate", "--user", ":"]
    command += ["--cacert", str(folder_of(cluster) / AUTHORITY), "--max-time", str(seconds), url]
    done = subprocess.run(command, env=_environment(cluster), capture_output=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{url}: curl ended with {done.returncode}")
    return done.stdout


def secured(cluster: Cluster) -> dict[str, dict[str, str]]:
    """By file of the configuration: what has every daemon prove who it is, and ask that of others."""
    keytab, principal = str(folder_of(cluster) / "keytab"), f"{user_name()}/localhost@{REALM}"

    def known(*names: str) -> dict[str, str]:
        found = dict.fromkeys((f"{name}.principal" for name in names), principal)
        return found | dict.fromkeys((f"{name}.keytab" for name in names), keytab)

    hdfs = dict.fromkeys(("dfs.namenode.kerberos.principal", "dfs.datanode.kerberos.principal"), principal)
    hdfs |= dict.fromkeys(("dfs.namenode.keytab.file", "dfs.datanode.keytab.file"), keytab)
    return {
        "core-site": {"hadoop.security.authentication": "kerberos", "hadoop.security.authorization": "true"},
        "hdfs-site": {
            **hdfs,
            # all that the keytab has, of whichever name of this machine
            **dict.fromkeys((f"{start}.kerberos.principal" for start in _WEB), "*"),
            **dict.fromkeys((f"{start}.kerberos.keytab" for start in _WEB), keytab),
            "hadoop.http.authentication.type": "kerberos",
            # in hdfs-site: the pages of YARN stay open
            "hadoop.http.filter.initializers": "org.apache.hadoop.hdfs.web.AuthFilterInitializer",
            "dfs.block.access.token.enable": "true",
            # instead of ports that only root may listen on
            "dfs.data.transfer.protection": "authentication",
            "dfs.http.policy": "HTTPS_ONLY",
            "dfs.namenode.https-address": f"127.0.0.1:{cluster.ports['namenode_https']}",
            "dfs.namenode.https-bind-host": "127.0.0.1",
            "dfs.datanode.https.address": "127.0.0.1:0",
        },
        "yarn-site": known("yarn.resourcemanager", "yarn.nodemanager"),
        "mapred-site": known("mapreduce.jobhistory"),
    }


def tls_files(cluster: Cluster) -> dict[str, dict[str, str | int]]:
    """Where servers find their certificate, and clients what they trust."""
    folder = folder_of(cluster)

    def store(side: str, what: str, file: str) -> dict[str, str | int]:
        start = f"ssl.{side}.{what}"
        return {f"{start}.location": str(folder / file), f"{start}.password": PASSWORD, f"{start}.type": "PKCS12"}

    trusted = {side: store(side, "truststore", "trusted.p12") for side in ("server", "client")}
    server = trusted["server"] | store("server", "keystore", "server.p12")
    server["ssl.server.keystore.keypassword"] = PASSWORD
    return {"ssl-server": server, "ssl-client": trusted["client"]}


def start(cluster: Cluster) -> None:
    """Make the realm, start its KDC and get a ticket."""
    for program, package in _PROGRAMS.items():
        _program(program, package)
    folder = folder_of(cluster)
    folder.mkdir(mode=0o700)
    _write_configuration(cluster, folder)
    _run(cluster, "kdb5_util", "create", "-s", "-P", PASSWORD)
    user = user_name()
    services = [f"{service}/{host}" for service in (user, "HTTP") for host in HOSTS]
    queries = [f"addprinc -randkey {name}" for name in (user, *services)]
    queries += [f"ktadd -norandkey -k {folder}/keytab {' '.join((user, *services))}"]
    _run(cluster, "kadmin.local", given="\n".join(queries))
    if not (folder / "keytab").exists():
        # it ends with 0 whatever became of a query
        raise ClusterError(f"kadmin.local wrote no keytab into {folder}")
    with (cluster.logs / f"{KDC}.log").open("ab") as output:
        process = subprocess.Popen(
            [_program("krb5kdc", "krb5-kdc"), "-n"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=_environment(cluster), cwd=folder, start_new_session=True,
        )  # fmt: skip
    daemons.record(cluster, KDC, process.pid)
    _wait_for(cluster.ports["kdc"])
    _run(cluster, "kinit", "-k", "-t", str(folder / "keytab"), user)
    _make_certificate(cluster, folder)


def _write_configuration(cluster: Cluster, folder: Path) -> None:
    port = cluster.ports["kdc"]
    (folder / KRB5_CONF).write_text(
        f"""[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
  ticket_lifetime = 1d
  renew_lifetime = 7d
[realms]
  {REALM} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  localhost = {REALM}
  127.0.0.1 = {REALM}
""",
        encoding="utf-8",
    )
    (folder / "kdc.conf").write_text(
        f"""[kdcdefaults]
  kdc_listen = ""
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {REALM} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
    max_life = 1d
    max_renewable_life = 7d
  }}
[logging]
  kdc = FILE:{cluster.logs}/kdc-requests.log
""",
        encoding="utf-8",
    )


def _make_certificate(cluster: Cluster, folder: Path) -> None:
    """One that signs itself, of this machine's names, for the servers; clients trust it."""
    keytool, store = f"{cluster.java}/bin/keytool", str(folder / "server.p12")
    given = ["-keystore", store, "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "server"]
    _run_program(cluster, [
        keytool, "-genkeypair", *given, "-keyalg", "EC", "-validity", "30", "-dname", "CN=localhost",
        "-ext", "san=dns:localhost,ip:127.0.0.1", "-ext", "bc=ca:true",
    ])  # fmt: skip
    made = _run_program(cluster, [keytool, "-exportcert", *given, "-rfc"])
    (folder / AUTHORITY).write_bytes(made)
    trusted = str(folder / "trusted.p12")
    _run_program(cluster, [
        keytool, "-importcert", "-keystore", trusted, "-storetype", "PKCS12", "-storepass", PASSWORD, "-noprompt",
        "-alias", "server", "-file", str(folder / AUTHORITY),
    ])  # fmt: skip


def _environment(cluster: Cluster) -> dict[str, str]:
    folder = folder_of(cluster)
    return {
        **os.environ, **environment(cluster), "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        daemons.TOKEN_VARIABLE: cluster.token,
    }  # fmt: skip


def _run(cluster: Cluster, program: str, *arguments: str, given: str = "") -> None:
    _run_program(cluster, [_program(program, _PROGRAMS[program]), *arguments], given=given)


def _run_program(cluster: Cluster, command: list[str], *, given: str = "") -> bytes:
    done = subprocess.run(command, input=given.encode(), env=_environment(cluster), capture_output=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{command[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_SBIN)
    if found is None:
        raise ClusterError(f"a cluster with Kerberos needs {name}, which is not installed: apt-get install {package}")
    return found


def _wait_for(port: int) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise ClusterError(f"the KDC does not listen on port {port}") from None
            time.sleep(0.05)
