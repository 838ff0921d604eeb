#!/usr/bin/env bash
# Guess: mv() of fsspec on HDFS moves the file, or raises an error, as its local file system does.
# Happened: where something is at the target, or its folder is not there, WebHDFS answers 200 with {"boolean": false}, as is documented,
#   and moves nothing. fsspec does not look at the answer: mv() returns as if it had. So a transaction ends well in which a file was
#   written again: its name has the old content, and the new one stays behind under a temporary name. Nothing of it in the
#   documentation of fsspec, nor in its tracker that we found. Its local file system replaces the file, or raises.
# Matters: to write under another name and to rename is how a result is published whole, and transactions are there for that: the model
#   or the day of yesterday is read on, and the job ended well.
# Versions: fsspec 2026.9.0, requests 2.34.2, Hadoop 3.4.2 (a NameNode and a DataNode in one process). Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/maven.lib.sh"
install fsspec==2026.9.0 requests==2.34.2

# HDFS itself: its own small cluster for tests, from Maven Central; it needs Java 11 or later and Maven
dependencies="<dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version></dependency>"
for artifact in hadoop-common hadoop-hdfs hadoop-hdfs-client; do
    for type in jar test-jar; do
        [ "$artifact $type" != "hadoop-hdfs-client test-jar" ] || continue
        dependencies+="<dependency><groupId>org.apache.hadoop</groupId><artifactId>$artifact</artifactId><version>3.4.2</version>"
        dependencies+="<type>$type</type></dependency>"
    done
done
maven_jars "$dependencies"
cat >"$work/Small.java" <<'JAVA'
import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

public class Small {
    public static void main(String[] args) throws Exception {
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(new Configuration(), new File(args[0])).numDataNodes(1).build();
        cluster.waitActive();
        System.out.println(cluster.getNameNode().getHttpAddress().getPort());
        System.in.read();
        System.exit(0);
    }
}
JAVA
opens=()
for package in lang lang.reflect util util.concurrent io net nio; do
    opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
# it ends when its standard input does, which is when this script does
coproc HDFS { exec java "${opens[@]}" -cp "$work/jars/*" "$work/Small.java" "$work/hdfs" 2>"$work/hdfs.log"; }
read -r WEBHDFS_PORT <&"${HDFS[0]}" || { cat "$work/hdfs.log"; exit 1; }
export WEBHDFS_PORT
observe <<'PY'
import getpass
import os
import sys
import tempfile

import fsspec
import requests

port = int(os.environ["WEBHDFS_PORT"])
user = getpass.getuser()  # who the cluster runs as, and may write everywhere
root = fsspec.filesystem("webhdfs", host="127.0.0.1", port=port, user=user, use_listings_cache=False)
print(f"fsspec {fsspec.__version__}; expected: b'new' at the target, or an error")


def attempt(name, fs, base, target):
    fs.makedirs(base)
    fs.pipe_file(f"{base}/model", b"old")
    fs.pipe_file(f"{base}/draft", b"new")
    try:
        fs.mv(f"{base}/draft", f"{base}/{target}")
        raised = "no error"
    except Exception as error:
        raised = type(error).__name__
    there = fs.cat_file(f"{base}/{target}") if fs.exists(f"{base}/{target}") else None
    print(f"seen: {name:5} mv to {target:13}: {raised}, at the target {there}, the draft is left: {fs.exists(f'{base}/draft')}")
    return raised == "no error", there


targets = ("other", "model", "missing/model")
with tempfile.TemporaryDirectory() as folder:
    local = [attempt("local", fsspec.filesystem("file"), f"{folder}/{i}", target) for i, target in enumerate(targets)]
hdfs = [attempt("hdfs", root, f"/night/{i}", target) for i, target in enumerate(targets)]
answer = requests.put(
    f"http://127.0.0.1:{port}/webhdfs/v1/night/1/draft",
    params={"op": "RENAME", "destination": "/night/1/model", "user.name": user},
    timeout=60,
)
print("seen: the answer itself:", answer.status_code, answer.json())

root.makedirs(root.tempdir, exist_ok=True)
root.makedirs("/written")
for content in (b"first", b"second"):
    with root.transaction, root.open("/written/model", "wb") as file:
        file.write(content)
kept = root.cat_file("/written/model")
print("seen: after transactions that wrote b'first', then b'second':", kept, "and", len(root.ls(root.tempdir)), "temporary file")
as_seen = hdfs == [(True, b"new"), (True, b"old"), (True, None)] and local[:2] == [(True, b"new"), (True, b"new")]
as_seen &= (answer.status_code, answer.json()) == (200, {"boolean": False}) and kept == b"first"
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
