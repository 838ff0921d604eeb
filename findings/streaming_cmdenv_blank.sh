#!/usr/bin/env bash
# Guess: -cmdenv of Hadoop Streaming gives a task the variable as it is written, or refuses it: the shell hands
#   it over as one word.
# Happened: the value ends at its first blank, and what follows becomes a variable of its own if it has an equals sign;
#   else it is gone. The job succeeds without a word.
# Matters: options for Java or Python, titles and folders with blanks in them are cut; one variable can replace another,
#   such as PATH, that nobody meant to set.
# Versions: Hadoop 3.4.2, its local job runner. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/hadoop.lib.sh"
install_hadoop 3.4.2
printf 'a row\n' >"$work/input"
cat >"$work/mapper" <<'SH'
#!/bin/sh
cat >/dev/null
echo "TITLE=[$TITLE] OPTIONS=[$OPTIONS] LEVEL=[$LEVEL]"
SH
chmod +x "$work/mapper"
streaming -D mapreduce.job.reduces=0 -input "$work/input" -output "$work/output" -mapper "$work/mapper" \
    -cmdenv "TITLE=two words" -cmdenv "OPTIONS=-v LEVEL=9"
echo "Hadoop 3.4.2; expected: TITLE=[two words] OPTIONS=[-v LEVEL=9] LEVEL=[]"
seen=$(tr -d '\t' <"$work"/output/part-00000)
echo "seen: $seen"
[ "$seen" = "TITLE=[two] OPTIONS=[-v] LEVEL=[9]" ] || { echo "changed: not what the first lines of this script say"; exit 1; }
