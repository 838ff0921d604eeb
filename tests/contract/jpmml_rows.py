"""Evaluate rows with JPMML, in a process of its own, since a JVM takes over signals.

A line of stdin is a JSON list of a PMML file and rows, objects each. A line of stdout is the list of their results:
objects, or the message of an error.
"""

from __future__ import annotations

import json
import sys

from jpmml_evaluator import make_evaluator

for line in sys.stdin:
    path, rows = json.loads(line)
    evaluator = make_evaluator(path, backend="jpype").verify()
    inputs = {field.getName() for field in evaluator.getInputFields()}
    results: list[dict[str, object] | str] = []
    for row in rows:
        try:
            results.append(dict(evaluator.evaluate({name: value for name, value in row.items() if name in inputs})))
        except Exception as error:
            results.append(str(error))
    print(json.dumps(results), flush=True)
