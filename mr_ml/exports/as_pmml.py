"""A model as PMML 4.4: a RegressionModel, by data dictionary, mining schema, regression tables and outputs.

    table of a class: intercept + sum_j coefficient_j x_j + sum over categories;    normalizationMethod = the response

Of two classes the table of the second one is the margin, that of the first is 0. (Data Mining Group, PMML 4.4,
"Regression".)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar
from xml.etree import ElementTree

from mr_ml import __version__
from mr_ml.errors import UsageError
from mr_ml.exports.base import Export, Subject, only_of
from mr_ml.exports.pmml_terms import PmmlTerms
from mr_ml.models.formula import Response
from mr_ml.readers.inputs import Made

_NAMESPACE = "http://www.dmg.org/PMML-4_4"
_MOST_COLUMNS = 20_000
_LARGEST = repr(sys.float_info.max)
# what XML 1.0 can hold
_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NORMALISATION = {
    Response.IDENTITY: "none",
    Response.EXP: "exp",
    Response.SIGMOID: "logit",
    Response.NORMAL: "probit",
    Response.CLOGLOG: "cloglog",
    Response.SOFTMAX: "softmax",
    Response.SIDES: "none",
}


class PmmlExport:
    """See `mr_ml.exports.base.Export`."""

    suffix = ".pmml"
    parameters: ClassVar[Mapping[str, str]] = {}

    def carries(self, made: Made) -> bool:
        """See `Export.carries`."""
        return made.terms is not None

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`."""
        notes = ["a row that mr-ml predict would refuse has an invalid value, for which evaluators give an error"]
        if subject.inputs.columns is None:
            notes.append("fields are called f1, f2, ...; what is missing is 0, and those without weight are left out")
        elif any(False in found for found in subject.reads.values()):
            notes.append("texts of categories are taken as they are: without blanks around them, whole numbers as 1")
        return notes

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        response = subject.formula.response
        if response not in _NORMALISATION:
            raise UsageError(
                f"PMML has no infinite mean where the margin is not positive, which loss {subject.loss} may predict; "
                "export as json, onnx, python or sql"
            )
        root = _Document(only_of(subject, most=_MOST_COLUMNS)).root
        _check(root)
        ElementTree.indent(root)
        text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return text + b"\n"


class _Document:
    """The elements, in the order that the schema of PMML asks for."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._offset = subject.inputs.offset
        self._taken = subject.reads.keys() | ({self._offset} if self._offset is not None else set())
        self._terms = PmmlTerms(subject, self._free)
        is_sides = subject.formula.response is Response.SIDES
        self._target = self._free("margin" if is_sides else "target")
        self.root = ElementTree.Element("PMML", {"xmlns": _NAMESPACE, "version": "4.4"})
        header = _add(self.root, "Header", description=subject.made)
        _add(header, "Application", name="mr_ml", version=__version__)
        self._dictionary()
        of_classes = bool(subject.labels) and not is_sides
        self._model = _add(
            self.root, "RegressionModel", modelName=f"{subject.name}@{subject.version}",
            functionName="classification" if of_classes else "regression",
            normalizationMethod=_NORMALISATION[subject.formula.response],
        )  # fmt: skip
        self._mining_schema()
        self._output()
        self._transformations()
        self._tables()

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _dictionary(self) -> None:
        subject = self._subject
        dictionary = _add(self.root, "DataDictionary")
        for name in subject.reads:
            categories = self._terms.categories.get(name)
            if categories is None:
                _number(dictionary, name, self._terms.bounds.get(name))
                continue
            field = _add(dictionary, "DataField", name=name, optype="categorical", dataType="string")
            for category in categories:
                _add(field, "Value", value=category)
            for text in subject.inputs.missing_texts:
                if text not in categories:
                    _add(field, "Value", value=text, property="missing")
        if self._offset is not None:
            _number(dictionary, self._offset)
        if subject.labels and subject.formula.response is not Response.SIDES:
            field = _add(dictionary, "DataField", name=self._target, optype="categorical", dataType="string")
            for label in subject.labels:
                _add(field, "Value", value=label)
        else:
            _add(dictionary, "DataField", name=self._target, optype="continuous", dataType="double")

    def _mining_schema(self) -> None:
        schema = _add(self._model, "MiningSchema")
        _add(schema, "MiningField", name=self._target, usageType="target")
        for name in self._subject.reads:
            _add(schema, "MiningField", name=name, **self._terms.treatment(name))
        if self._offset is not None:
            treatment = {"missingValueTreatment": "returnInvalid", "invalidValueTreatment": "returnInvalid"}
            _add(schema, "MiningField", name=self._offset, **treatment)

    def _output(self) -> None:
        subject = self._subject
        output = _add(self._model, "Output")
        if not subject.labels:
            kind = {"optype": "continuous", "dataType": "double", "feature": "predictedValue"}
            _add(output, "OutputField", name=self._free("predicted"), **kind)
        elif subject.formula.response is Response.SIDES:
            first, second = (self._free(f"decision_{label}") for label in subject.labels)
            kind = {"optype": "continuous", "dataType": "double"}
            _add(output, "OutputField", name=second, feature="predictedValue", **kind)
            field = _add(output, "OutputField", name=first, feature="transformedValue", **kind)
            minus = _add(field, "Apply", function="*")
            _add(minus, "Constant", dataType="double").text = "-1"
            _add(minus, "FieldRef", field=second)
            field = _add(
                output, "OutputField", name=self._free("predicted"), optype="categorical", dataType="string",
                feature="transformedValue",
            )  # fmt: skip
            choice = _add(field, "Apply", function="if")
            is_second = _add(choice, "Apply", function="greaterThan")
            _add(is_second, "FieldRef", field=second)
            _add(is_second, "Constant", dataType="double").text = "0"
            for label in reversed(subject.labels):
                _add(choice, "Constant", dataType="string").text = label
        else:
            kind = {"optype": "categorical", "dataType": "string", "feature": "predictedValue"}
            _add(output, "OutputField", name=self._free("predicted"), **kind)
            kind = {"optype": "continuous", "dataType": "double", "feature": "probability"}
            for label in subject.labels:
                _add(output, "OutputField", name=self._free(f"probability_{label}"), value=label, **kind)

    def _transformations(self) -> None:
        """Add the fields that are made of columns."""
        if self._terms.derived:
            _add(self._model, "LocalTransformations").extend(self._terms.derived)

    def _tables(self) -> None:
        subject = self._subject
        n_margins = len(subject.formula.intercepts)
        if not subject.labels or subject.formula.response is Response.SIDES:
            self._table(0, None)
        elif n_margins == 1:
            self._table(0, subject.labels[1])
            _add(self._model, "RegressionTable", intercept="0", targetCategory=subject.labels[0])
        else:
            for k, label in enumerate(subject.labels):
                self._table(k, label)

    def _table(self, k: int, label: str | None) -> None:
        subject = self._subject
        target = {} if label is None else {"targetCategory": label}
        table = _add(self._model, "RegressionTable", intercept=repr(float(subject.intercepts[k])), **target)
        for numeric in self._terms.numeric:
            weight = repr(float(numeric.weights[k]))
            _add(table, "NumericPredictor", name=numeric.field, coefficient=weight)
        if self._offset is not None:
            _add(table, "NumericPredictor", name=self._offset, coefficient="1")
        for one in self._terms.categorical:
            for value, weight in zip(one.values, map(repr, one.weights[k].tolist()), strict=True):
                _add(table, "CategoricalPredictor", name=one.field, value=value, coefficient=weight)


def _number(dictionary: ElementTree.Element, name: str, bounds: tuple[float, float] | None = None) -> None:
    field = _add(dictionary, "DataField", name=name, optype="continuous", dataType="double")
    if bounds is None:
        _add(field, "Interval", closure="closedClosed", leftMargin=f"-{_LARGEST}", rightMargin=_LARGEST)
    else:
        _add(field, "Interval", closure="closedOpen", leftMargin=repr(bounds[0]), rightMargin=repr(bounds[1]))


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _check(root: ElementTree.Element) -> None:
    """Raise UsageError for a name or category that XML cannot hold."""
    for element in root.iter():
        for text in (*element.attrib.values(), element.text or ""):
            if _UNWRITABLE.search(text):
                raise UsageError(f"XML, and so PMML, cannot have the character in {ascii(text)[:60]}; rename it")


EXPORT: Export = PmmlExport()
