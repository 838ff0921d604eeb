"""Write files of rows as tables of Hive hold them, by Hive's own classes, once for the same rows.

    python scripts/hadoop/hive_files.py ROWS

prints a folder with orc/000000_0, parquet/000000_0, avro/000000_0 and text/000000_0; `HiveFiles.java` says what ROWS
is. It lies in the cache, named after all that it is made of. Hive is one jar of Maven's central repository (83 MB); the
classes of Hadoop that it needs are those of the development clusters. No metastore and no cluster are started.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from distribution import (
    DEFAULT_HADOOP,
    RELEASES,
    SOURCE,
    ClusterError,
    cache_folder,
    hadoop_home,
    java_home,
    locked,
    say,
)

HIVE = "4.0.1"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
# Hive looks into classes of Java that this one does not open by itself.
_OPENED = ("--add-opens=java.base/java.net=ALL-UNNAMED",)


def hive_files(rows: Path) -> Path:
    """Return the folder with the files of rows, made if it is not there.

    Raises
    ------
    ClusterError
        If Java, Maven or the jars are not to be had, or Hive fails.
    """
    program = SOURCE / "HiveFiles.java"
    cache = cache_folder()
    digest = hashlib.sha256(b"\0".join((HIVE.encode(), program.read_bytes(), rows.read_bytes()))).hexdigest()[:12]
    made = cache / f"hive-{digest}"
    with locked(cache / "hive.lock"):
        if made.is_dir():
            return made
        release = RELEASES[DEFAULT_HADOOP]
        java = java_home(release)
        home = hadoop_home(release, java=java)
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=cache))
        try:
            say(f"fetching Hive {HIVE} with Maven (83 MB, once) ...")
            _run(
                ["mvn", "-B", "-q", "--strict-checksums", _COPY, f"-Dartifact=org.apache.hive:hive-exec:{HIVE}",
                 f"-DoutputDirectory={staging}"], java=java, folder=staging,
            )  # fmt: skip
            classes = f"{staging / f'hive-exec-{HIVE}.jar'}:{(home / 'etc' / 'classpath').read_text(encoding='utf-8')}"
            _run(
                [str(java / "bin" / "javac"), "-cp", classes, "-d", str(staging), str(program)],
                java=java,
                folder=staging,
            )
            written = staging / "files"
            words = [str(java / "bin" / "java"), *_OPENED, "-cp", f"{staging}:{classes}", "HiveFiles"]
            _run([*words, str(written), str(rows.absolute())], java=java, folder=staging)
            written.rename(made)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return made


def _run(words: list[str], *, java: Path, folder: Path) -> None:
    environment = {**os.environ, "JAVA_HOME": str(java), "TZ": "UTC"}
    try:
        done = subprocess.run(
            words, env=environment, cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise ClusterError(f"expected {words[0]} on the PATH, found none: {error}") from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).rstrip().splitlines()[-15:])
        raise ClusterError(f"{words[0]} failed; its last lines:\n{last}")


if __name__ == "__main__":
    try:
        print(hive_files(Path(sys.argv[1])))
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
