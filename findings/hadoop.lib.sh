# shellcheck shell=bash
# Sourced by the scripts here that run Hadoop: its client from Maven Central in a temporary folder, gone at exit. It needs
# Java 11 or later and Maven. Jobs run in one process on this machine (mapreduce.framework.name=local).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/maven.lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# install_hadoop VERSION
install_hadoop() {
    local dependencies="" artifact
    for artifact in hadoop-client-api hadoop-client-runtime hadoop-streaming; do
        dependencies+="<dependency><groupId>org.apache.hadoop</groupId><artifactId>$artifact</artifactId><version>$1</version>"
        dependencies+="</dependency>"
    done
    # what streaming needs and the client's jars hold under another name
    dependencies+="<dependency><groupId>commons-cli</groupId><artifactId>commons-cli</artifactId><version>1.9.0</version></dependency>"
    maven_jars "$dependencies"
}

# streaming ARGUMENTS...: run a job of Hadoop Streaming to its end
streaming() {
    java -cp "$work/jars/*" org.apache.hadoop.streaming.HadoopStreaming -D mapreduce.framework.name=local \
        -D hadoop.tmp.dir="$work/tmp" "$@" >"$work/job.log" 2>&1 || { cat "$work/job.log"; exit 1; }
}
