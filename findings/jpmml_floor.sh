#!/usr/bin/env bash
# Guess: PMML's function floor takes any double and returns a whole number, as a double or as an integer that holds it.
# Happened: JPMML makes an integer of 32 bits of what it rounds, although the field that is derived says double: 1e9 is
#   rounded, 2147483648 is an error ("Integer overflow"). The same of ceil and round. Its tracker has a report of 2019, which
#   is closed.
# Matters: a moment in seconds since 1970 is beyond 32 bits from 2038 on, one in milliseconds always is; hours, days and months
#   are made of them by floor.
# Versions: jpmml_evaluator 0.16.0, jpype1 1.7.1 (Java 17). Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v java >/dev/null || { echo "needs java" >&2; exit 69; }
install jpmml_evaluator==0.16.0 jpype1==1.7.1 numpy==2.4.6 pandas==3.1.1
observe <<'PY'
import sys

from jpmml_evaluator import make_evaluator

MODEL = """<?xml version="1.0"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>
<DataDictionary><DataField name="x" optype="continuous" dataType="double"/>
<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<RegressionModel functionName="regression">
<MiningSchema><MiningField name="y" usageType="target"/><MiningField name="x"/></MiningSchema>
<LocalTransformations><DerivedField name="whole" optype="continuous" dataType="double">
<Apply function="%s"><FieldRef field="x"/></Apply></DerivedField></LocalTransformations>
<RegressionTable intercept="0"><NumericPredictor name="whole" coefficient="1"/></RegressionTable>
</RegressionModel></PMML>"""
seen = {}
print("expected of all: the number itself")
for function in ("floor", "ceil", "round"):
    with open("model.pmml", "w") as file:
        file.write(MODEL % function)
    evaluator = make_evaluator("model.pmml", backend="jpype").verify()
    for x in (1e9, 2147483647.0, 2147483648.0, 1.7e12):
        try:
            seen[function, x] = dict(evaluator.evaluate({"x": x}))["y"]
        except Exception as error:
            seen[function, x] = "error: " + str(error).splitlines()[0][:70]
        print(f"seen: {function:5} of {x:15.1f}: {seen[function, x]}")
right = all(seen[key] == key[1] for key in seen if key[1] < 2**31)
wrong = all("verflow" in str(seen[key]) for key in seen if key[1] >= 2**31)
sys.exit(None if right and wrong else "changed: not what the first lines say")
PY
