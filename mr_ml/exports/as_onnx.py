"""A model as a graph of ONNX, in doubles throughout.

    each column (n_rows, 1) -> what it adds (n_rows, n_margins) -> margins -> values -> label

Numbers: NaN is no value, and a row that is refused has NaN for every value and the label "". Operators of ai.onnx.ml
that compute are not used, since they do so in floats: categories are looked up, and their coefficients gathered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mr_ml import __version__
from mr_ml.errors import UsageError
from mr_ml.exports.base import Export, Subject, only_of
from mr_ml.exports.onnx_graph import IR_VERSION, OPSETS, Graph, values_of
from mr_ml.exports.onnx_terms import OnnxTerms, linear
from mr_ml.readers.inputs import Made

_MOST_COLUMNS = 20_000
_MOST_FEATURES = 1_000_000
# of one message of protobuf
_MOST_BYTES = 1 << 30
_FEATURES = "features"


class OnnxExport:
    """See `mr_ml.exports.base.Export`."""

    suffix = ".onnx"
    parameters: ClassVar[Mapping[str, str]] = {}

    def carries(self, made: Made) -> bool:
        """See `Export.carries`."""
        return made.terms is not None

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`."""
        notes = ["a row that mr-ml predict would refuse has NaN for every value"]
        if subject.inputs.columns is None:
            notes.append(
                f"the input {_FEATURES!r} has a column for each feature that has coefficients, in the order of "
                "feature_names in the metadata, 0 for what a row lacks"
            )
        elif any(False in found for found in subject.reads.values()):
            notes.append(
                "texts of categories are taken as they are: without blanks around them, whole numbers as 1 or 1.0"
            )
        return notes

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        if subject.inputs.columns is not None:
            only_of(subject, most=_MOST_COLUMNS)
        elif len(subject.formula.features) > _MOST_FEATURES or subject.formula.coefficients.nbytes > _MOST_BYTES:
            raise UsageError(
                f"expected a model of at most {_MOST_FEATURES} features that rows had, and {_MOST_BYTES} bytes, for "
                f"this export, found {len(subject.formula.features)}; export as json or python"
            )
        try:
            import onnx
        except ImportError as error:
            raise UsageError(f"the export onnx needs a package: {error}; pip install 'mr_ml[onnx]'") from None
        model = _model(subject)
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _model(subject: Subject) -> Any:
    from onnx import TensorProto, helper

    is_numbered = subject.inputs.columns is None
    columns = {} if is_numbered else subject.only_one_type("onnx")
    offset = subject.inputs.offset
    graph = Graph([*columns, *([offset] if offset is not None else []), *([_FEATURES] if is_numbered else [])])
    inputs: list[Any] = []

    def add_input(name: str, kind: int, width: int) -> str:
        inputs.append(helper.make_tensor_value_info(name, kind, ["n_rows", width]))
        return name

    if is_numbered:
        n = len(subject.formula.features)
        x = add_input(_FEATURES, TensorProto.DOUBLE, n)
        terms = list(linear(graph, x, subject.formula.centres, subject.formula.coefficients.T))
        intercepts = subject.formula.intercepts
    else:
        for name, is_number in columns.items():
            add_input(name, TensorProto.DOUBLE if is_number else TensorProto.STRING, 1)
        terms = list(OnnxTerms(subject, graph).all())
        intercepts = subject.intercepts
    if offset is not None:
        add_input(offset, TensorProto.DOUBLE, 1)
        terms.extend((offset, graph.op("Sub", offset, offset)))
    margins = graph.sum([*terms, graph.constant(intercepts[None])])
    outputs = _outputs(subject, graph, values_of(subject.formula.response, graph, margins))
    made = helper.make_graph(graph.nodes, "mr_ml", inputs, outputs, initializer=graph.constants)
    model = helper.make_model(
        made, ir_version=IR_VERSION, producer_name="mr_ml", producer_version=__version__, doc_string=subject.made,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in OPSETS.items()],
    )  # fmt: skip
    about = {
        "model": subject.name, "version": str(subject.version), "loss": subject.loss, "dataset": subject.dataset,
        "labels": json.dumps(subject.labels), "values": subject.value_word,
        **({"feature_names": json.dumps(subject.feature_names)} if is_numbered else {}),
    }  # fmt: skip
    helper.set_model_props(model, about)
    return model


def _outputs(subject: Subject, graph: Graph, values: str) -> list[Any]:
    """Add the nodes of the outputs; returns these."""
    from onnx import TensorProto, helper

    if not subject.labels:
        name = graph.free("prediction")
        graph.op("Identity", values, to=name)
        return [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n_rows", 1])]
    label = graph.free("label")
    name = graph.free("probabilities" if subject.value_word == "probability" else "decisions")
    graph.op("Identity", values, to=name)
    # a refused row has NaN for all: of the first class it is seen
    first = graph.op("Gather", values, graph.constant(np.array(0, np.int64)), axis=1)
    best = graph.op("ArgMax", values, axis=1, keepdims=0)
    labels = graph.op("Gather", graph.constant(list(subject.labels)), best, axis=0)
    graph.op("Where", graph.op("IsNaN", first), graph.constant([""]), labels, to=label)
    return [
        helper.make_tensor_value_info(label, TensorProto.STRING, ["n_rows"]),
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n_rows", len(subject.labels)]),
    ]


EXPORT: Export = OnnxExport()
