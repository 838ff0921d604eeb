#!/usr/bin/env bash
# Guess: a line that the program of a Hadoop Streaming task prints ends at its line feed, and nowhere else: so say the
#   examples, and a record delimiter is said by a property.
# Happened: a carriage return in its midst ends it too, and is dropped: one record has become two, and the job succeeds.
#   The second has a key that was a value.
# Matters: text from Windows, log lines and names with a stray carriage return, which a mapper passes on as it got them;
#   sums by key then have keys that nobody wrote, and lines no longer pair with what they were made of.
# Versions: Hadoop 3.4.2, its local job runner. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/hadoop.lib.sh"
install_hadoop 3.4.2
printf 'a row\n' >"$work/input"
cat >"$work/mapper" <<'SH'
#!/bin/sh
cat >/dev/null
printf 'key\tone value\rstill the same\tvalue\nother\tvalue\n'
SH
chmod +x "$work/mapper"
streaming -D mapreduce.job.reduces=0 -input "$work/input" -output "$work/output" -mapper "$work/mapper"
echo "Hadoop 3.4.2; expected: 2 records, one of which holds a carriage return"
seen=$(cat "$work"/output/part-*)
expected=$(printf 'key\tone value\nstill the same\tvalue\nother\tvalue\n')
printf 'seen:\n%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "changed: not what the first lines of this script say"; exit 1; }
