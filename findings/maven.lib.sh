# shellcheck shell=bash
# Sourced by the scripts here that run Java: packages from Maven Central. It needs Java 11 or later and Maven.

# maven_jars DEPENDENCIES: these elements of a pom, with all that they need, into $work/jars
maven_jars() {
    cat >"$work/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>findings</groupId><artifactId>findings</artifactId><version>1</version>
<dependencies>$1</dependencies></project>
XML
    mvn -q -B -f "$work/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DoutputDirectory="$work/jars" >"$work/mvn.log" 2>&1 || { cat "$work/mvn.log"; exit 1; }
}
