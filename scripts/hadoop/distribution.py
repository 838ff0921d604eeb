"""Fetch Apache Hadoop once and lay it out like an unpacked release.

The jars come from Maven's central repository (`pom.xml` beside this file). The home folder is named after the content
of that file and the versions, so another Hadoop or another set of parts never mixes with an older one:

    <cache>/home-<hash>/bin/{hadoop,hdfs,yarn,mapred}          one launcher under four names
                        share/hadoop/common/lib/*.jar
                        share/hadoop/tools/lib/hadoop-streaming-*.jar
                        share/hadoop/hdfs/webapps/...          empty; the daemons insist on the folders
                        etc/classpath                          the jars, sorted, joined by colons
                        lib/loopback.so                        see loopback.c
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
APT_PACKAGES = {
    "java": ("openjdk-17-jdk-headless",),
    "mvn": ("openjdk-17-jdk-headless", "maven"),
    "cc": ("gcc", "libc6-dev"),
}
# Hadoop's scripts, class paths and comma-separated settings take these as they are; anything else would need quoting.
SAFE_PATH = re.compile(r"/[A-Za-z0-9._/+@=-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release:
    """A Hadoop that clusters can be made of.

    Attributes
    ----------
    hadoop : str
        Version of all its parts but streaming.
    streaming : str
        Version of hadoop-streaming.
    aws : str
        Version of the AWS SDK: the one that hadoop-aws was built with.
    java : tuple of int
        Major versions that it runs on, the best first.
    """

    hadoop: str
    streaming: str
    aws: str
    java: tuple[int, ...]

    def maven_properties(self) -> list[str]:
        """The arguments by which Maven learns the versions."""
        return [f"-D{name}.version={getattr(self, name)}" for name in ("hadoop", "streaming", "aws")]


RELEASES = {
    release.hadoop: release
    for release in (
        # with a later AWS SDK than its own it sends checksums that many S3 servers refuse
        Release(hadoop="3.4.2", streaming="3.4.2", aws="2.29.52", java=(17, 11)),
        # its own hadoop-streaming is not in Maven's central repository, nor is that of 3.4.3
        Release(hadoop="3.5.0", streaming="3.4.2", aws="2.35.4", java=(17,)),
    )
}
DEFAULT_HADOOP = "3.4.2"


class ClusterError(Exception):
    """What went wrong and what to do, for the person at the terminal."""


def say(text: str) -> None:
    """Progress for people; stdout is kept for the export lines."""
    print(text, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Where the jars are kept and where clusters live unless told otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return checked_path(Path(base) / "mr_ml" / "hadoop")


def checked_path(path: Path) -> Path:
    """The absolute path, if Hadoop can live with it.

    Raises
    ------
    ClusterError
        If it has blanks, commas or other characters that Hadoop's settings and scripts would take apart.
    """
    absolute = path.absolute()
    if not SAFE_PATH.fullmatch(str(absolute)):
        raise ClusterError(
            f"expected a folder name of letters, digits and . _ / + @ = - only, found {str(absolute)!r}; "
            "choose another one (--dir for a cluster, XDG_CACHE_HOME for the jars)"
        )
    return absolute


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`, so that of two first starts only one downloads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def java_home(release: Release) -> Path:
    """The folder of a fitting JDK: JAVA_HOME, `java` on the PATH, /usr/lib/jvm, else installed on Debian as root."""
    found = _find_java(release)
    wanted = f"Java {' or '.join(map(str, release.java))}"
    if found is None:
        _install("java", f"a {wanted} runtime for Hadoop {release.hadoop}")
        found = _find_java(release)
    if found is None:
        raise ClusterError(f"no {wanted} found even after installing one: set JAVA_HOME to its folder")
    return found


def java_version(home: Path) -> str:
    """The version that a Java folder states, such as 17.0.15; empty if it is not one. Starts no JVM."""
    try:
        release = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    match = re.search(r'^JAVA_VERSION="([0-9][^"]*)"', release, re.MULTILINE)
    return match[1] if match and os.access(home / "bin" / "java", os.X_OK) else ""


def java_major(home: Path) -> int:
    """17 for 17.0.15; 0 if `home` is no Java folder."""
    version = java_version(home)
    return int(re.split(r"[^0-9]", version)[0]) if version else 0


def _find_java(release: Release) -> Path | None:
    candidates = []
    if os.environ.get("JAVA_HOME"):
        candidates.append(Path(os.environ["JAVA_HOME"]))
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path).resolve().parent.parent)
    candidates.extend(sorted(Path("/usr/lib/jvm").glob("*")))
    for version in release.java:
        for candidate in candidates:
            if java_major(candidate) == version:
                return candidate.resolve()
    return None


def hadoop_home(release: Release, *, java: Path) -> Path:
    """The unpacked Hadoop; downloaded (about 110 MB) and laid out if it is not there yet."""
    cache = cache_folder()
    content = (SOURCE / "pom.xml").read_bytes() + " ".join(release.maven_properties()).encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    home = cache / f"home-{digest}"
    with locked(cache / "home.lock"):
        if not home.is_dir():
            staging = Path(tempfile.mkdtemp(prefix="staging-", dir=cache))
            try:
                _download(release, staging / "share" / "hadoop" / "common" / "lib", java=java)
                _lay_out(staging, final=home)
                staging.rename(home)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        _refresh(home)
    return home


def _download(release: Release, folder: Path, *, java: Path) -> None:
    maven = _tool("mvn", "Maven")
    folder.mkdir(parents=True)
    say(f"fetching the jars of Hadoop {release.hadoop} with Maven (about 110 MB, once) ...")
    arguments = [
        maven,
        "-B",
        "-q",
        "-Dstyle.color=never",
        "--strict-checksums",
        "-f",
        str(SOURCE / "pom.xml"),
        "dependency:copy-dependencies",
    ]
    arguments += ["-DincludeScope=runtime", f"-DoutputDirectory={folder}", *release.maven_properties()]
    environment = {**os.environ, "JAVA_HOME": str(java)}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise ClusterError(f"Maven could not fetch Hadoop's jars; its last lines:\n{_tail(done.stdout + done.stderr)}")


def _lay_out(staging: Path, *, final: Path) -> None:
    common = staging / "share" / "hadoop" / "common" / "lib"
    tools = staging / "share" / "hadoop" / "tools" / "lib"
    for folder in (tools, staging / "bin", staging / "etc" / "hadoop", staging / "lib"):
        folder.mkdir(parents=True)
    for page in ("hdfs", "datanode", "static"):
        (staging / "share" / "hadoop" / "hdfs" / "webapps" / page).mkdir(parents=True)
    for jar in common.glob("hadoop-streaming-*.jar"):
        jar.rename(tools / jar.name)
    jars = [*sorted(common.glob("*.jar")), *sorted(tools.glob("*.jar"))]
    lines = ":".join(str(final / jar.relative_to(staging)) for jar in jars)
    (staging / "etc" / "classpath").write_text(lines, encoding="utf-8")
    for name in ("hdfs", "yarn", "mapred"):
        (staging / "bin" / name).symlink_to("hadoop")


def _refresh(home: Path) -> None:
    """Bring the small files that come from this folder up to date, whole, under the feet of running clusters."""
    _replace(home / "bin" / "hadoop", (SOURCE / "hadoop").read_bytes(), mode=0o755)
    _replace(home / "etc" / "hadoop" / "log4j.properties", (SOURCE / "log4j.properties").read_bytes(), mode=0o644)
    source = (SOURCE / "loopback.c").read_bytes()
    built_from = home / "lib" / "loopback.c"
    if built_from.is_file() and built_from.read_bytes() == source:
        return
    compiler = _tool("cc", "a C compiler")
    library = home / "lib" / "loopback.so"
    partial = library.with_suffix(".partial")
    arguments = [compiler, "-shared", "-fPIC", "-O2", "-o", str(partial), str(SOURCE / "loopback.c"), "-ldl"]
    done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise ClusterError(f"the C compiler could not build loopback.c; its last lines:\n{_tail(done.stderr)}")
    partial.replace(library)
    _replace(built_from, source, mode=0o644)


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.chmod(mode)
    partial.replace(path)


def _tool(program: str, meaning: str) -> str:
    if shutil.which(program) is None:
        _install(program, meaning)
    found = shutil.which(program)
    if found is None:
        raise ClusterError(f"{meaning} ({program}) is not on the PATH even after installing it")
    return found


def _install(program: str, meaning: str) -> None:
    packages = APT_PACKAGES[program]
    commands: Sequence[Sequence[str]] = (
        ("apt-get", "update", "-q"),
        ("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages),
    )
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(
            f"{meaning} is needed and was not found ({program}). On Debian or Ubuntu run:\n"
            f"    sudo apt-get update && sudo apt-get install {' '.join(packages)}\n"
            "elsewhere install its counterpart, set JAVA_HOME for Java, and run this again."
        )
    say(f"{meaning} not found: installing {' '.join(packages)} with apt-get ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            raise ClusterError(f"{' '.join(command)} failed; its last lines:\n{_tail(done.stdout + done.stderr)}")


def _tail(text: str, *, lines: int = 15) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])
