#!/usr/bin/env bash
# Guess: features with whole numbers as names are not hashed, so that numbers below 2^18, the size of the table (-b
#   18), each have a weight of their own.
# Happened: number 116060 shares its weight with the intercept (11650396 modulo 2^18): "with it 1, without it -1"
#   cannot be learned of this feature, while it is of its neighbours. With -b 24 it is 11650396. Nothing is said. The
#   wiki advises to choose one's own number for the constant, and --noconstant; that the constant has a number in your
#   range, and which, it does not say there.
# Matters: libsvm-like data with ids below 2^18 is taken for free of collisions; one feature and every prediction
#   suffer.
# Versions: vowpalwabbit 9.11.9 (PyPI). Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install vowpalwabbit==9.11.9
observe <<'PY'
import sys

import vowpalwabbit

print("vowpalwabbit", vowpalwabbit.__version__)
print("expected: every feature: 1 with it, -1 without it")
as_seen = True
for bits, number, collides in (
    (18, 116059, False),
    (18, 116060, True),
    (18, 116061, False),
    (24, 116060, False),
    (24, 11650396, True),
):
    model = vowpalwabbit.Workspace(f"-b {bits} --loss_function squared", quiet=True)
    for _ in range(3000):
        model.learn(f"1 | {number}:1")
        model.learn("-1 | ")
    present, absent = model.predict(f"| {number}:1"), model.predict("| ")
    model.finish()
    print(f"seen: -b {bits}, feature {number}: {present:.3f} with it, {absent:.3f} without it")
    as_seen &= (present < 0.6 and absent > 0) if collides else (present > 0.95 and absent < -0.95)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
