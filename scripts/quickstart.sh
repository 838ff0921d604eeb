#!/usr/bin/env bash
# Train, evaluate and use two models on this machine: Iris (3 classes) and handwritten digits (10 classes). Then retrain
# a third one (tumours, 2 classes) on three nights: the first two models are promoted, the third is refused.
#
# Needs Debian (or the like) with Python 3.11 or later. The first time it sets up a virtual environment in .venv, which
# takes a minute or two; after that it takes seconds. Everything that it makes lies in .venv and in quickstart_data
# (or in MR_ML_ROOT if that is set): remove these two and nothing is left but pip's cache.
set -Eeuo pipefail
trap 'echo "quickstart: stopped: the last command failed with exit code $?; its message above says why." >&2' ERR

title() { printf '\n== %s\n' "$*"; }
run() {
    printf '\n$ %s\n' "$*"
    "$@"
}
refused() { # run a command that the gate is to refuse: exit code 3
    printf '\n$ %s\n' "$*"
    local code=0
    "$@" || code=$?
    printf '(exit code %s)\n' "$code"
    [ "$code" -eq 3 ] || return "$code"
}

# mr-ml keeps datasets, models and runs below one folder, its root.
if [ -n "${MR_ML_ROOT:-}" ]; then MR_ML_ROOT=$(realpath -m "$MR_ML_ROOT"); fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MR_ML_ROOT=${MR_ML_ROOT:-quickstart_data}
data=$MR_ML_ROOT/text

title "A virtual environment with mr_ml in it: .venv"
scripts/setup_env.sh .venv quickstart
export PATH="$PWD/.venv/bin:$PATH"
run mr-ml --version
printf '\n$ export MR_ML_ROOT=%s\n' "$MR_ML_ROOT"

title "The data: rows as text, 'label feature:value feature:value ...'"
run python scripts/sample_data.py "$data"
run head -n 3 "$data/iris.libsvm"

for name in iris digits; do
    title "$name: pack the text into blocks, once; four rows in five to train on, the others to test on"
    run mr-ml pack "$data/$name.libsvm" --to "$name" --split train=0.8,test=0.2 --seed 7
    run mr-ml describe "$name" --features 5

    title "$name: train; every pass over the data is a MapReduce job, here in processes of this machine"
    run mr-ml train "$name" --model "$name-softmax" --loss softmax --l2 1e-4 -r local

    title "$name: how good is it on the rows that it has not seen?"
    run mr-ml evaluate "$name-softmax" "$name" --split test
done

title "Use it: the species of flowers, one line each: label, then the probability of every label"
rm -f "$MR_ML_ROOT/predictions.tsv" # of an earlier quickstart; mr-ml never overwrites a file
run cat "$data/new_rows.libsvm"
run mr-ml predict iris-softmax "$data/new_rows.libsvm" --to "$MR_ML_ROOT/predictions.tsv"
run cat "$MR_ML_ROOT/predictions.tsv"

title "What was made: a numbered version of the model, and the run that made it, pass by pass"
run mr-ml models show iris-softmax
run_id=$(mr-ml models show iris-softmax --json | tail -n 1 | python -c 'import json, sys; print(json.load(sys.stdin)["run"])')
run mr-ml runs show "$run_id"

title "Every night: one file says what is retrained and how; the text of each day lies in a folder with its date"
cp docs/examples/tumours.yaml "$data/retrain.yaml"
run cat "$data/retrain.yaml"
run ls "$data/days"

title "The first night: there is no model yet, so a sound one is promoted: from now on 'tumours' means it"
run mr-ml retrain "$data/retrain.yaml" --for 2026-11-06

title "The second night: the new model is compared with the first, on the same rows, and takes its place"
run mr-ml retrain "$data/retrain.yaml" --for 2026-11-07

title "The third night: the labels of that day stand beside the wrong rows; the gate refuses the model, the second stays"
refused mr-ml retrain "$data/retrain.yaml" --for 2026-11-08

title "Somebody knows better than the gate, and promotes it by hand; a rollback is one step, at once and exact"
run mr-ml models promote tumours@3 --force --reason overruled
run mr-ml models rollback tumours
run mr-ml models list

cat <<END

== Done. What to try next, after

  source .venv/bin/activate
  export MR_ML_ROOT=$(realpath "$MR_ML_ROOT")

  mr-ml train iris --model iris-softmax --loss softmax --l2 1e-2    another penalty: the next version of the model
  mr-ml models list                                                 all versions
  mr-ml pack YOUR_ROWS.csv --to mine --label-column NAME            your own data; docs/formats.md says what is read
  mr-ml schedule $data/retrain.yaml --at 02:15
                                                                    a line for cron that retrains every night
  mr-ml train --help                                                every command explains itself
  scripts/test.sh                                                   all the tests

docs/ has the guide for operators: cli.md, retraining.md, formats.md, training.md, hadoop.md, operations.md.
END
