"""What `mr-ml export --as json` writes, as docs/exports.md describes it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, NoReturn, TypedDict

import numpy as np

from mr_ml.coefficients.base import CoefficientFile, Coefficients, checked
from mr_ml.data import stored
from mr_ml.errors import BadDataError

# As objects of Python it takes ten times that.
_MOST_BYTES = 1 << 27


class _Document(TypedDict):
    format: Literal["mr_ml.model"]
    format_version: Literal[1, 2]
    loss: str
    labels: tuple[str, ...]
    feature_names: tuple[str, ...]
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    centres: tuple[float, ...]


class JsonExportFile:
    """See `mr_ml.coefficients.base.CoefficientFile`."""

    title = "JSON of mr-ml export"

    def knows(self, data: bytes) -> bool:
        """See `CoefficientFile.knows`."""
        return data[:256].lstrip().startswith(b"{")

    def read(self, data: bytes, *, where: str) -> Coefficients:
        """See `CoefficientFile.read`."""
        if len(data) > _MOST_BYTES:
            raise BadDataError(f"{where}: expected at most {_MOST_BYTES} bytes of JSON, found {len(data)}")
        kind: Any = Annotated[_Document, stored.MORE]
        document: _Document = stored.read(kind, _parsed(data, where=where), where=where)
        rows = document["coefficients"]
        if not rows or len({len(row) for row in rows}) != 1:
            raise BadDataError(f"{where}: expected as coefficients lists of one length, found {len(rows)} of others")
        found = Coefficients(
            weights=np.array(rows, np.float64).reshape(len(rows), -1), intercepts=np.array(document["intercepts"]),
            centres=np.array(document["centres"]), names=document["feature_names"], labels=document["labels"],
            losses=(document["loss"],) if document["loss"] else (),
        )  # fmt: skip
        return checked(found, where=where)


def _parsed(data: bytes, *, where: str) -> Any:
    def refused(name: str) -> NoReturn:
        raise ValueError(f"{name}, which is no number")

    try:
        return json.loads(data.decode(), parse_constant=refused)
    # of lists in lists, thousands deep, and of digits without end too
    except (ValueError, RecursionError) as error:
        raise BadDataError(
            f"{where}: expected JSON as `mr-ml export --as json` writes it, found something else: "
            f"{stored.shown(str(error))}"
        ) from None


KIND: CoefficientFile = JsonExportFile()
