"""What a reader must know before anything else."""

from __future__ import annotations

from collections.abc import Iterator

from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Notice, Paragraph
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import sentence

_NOT_ENDED = {
    "running": "The run goes on: this is how far it was when the page was made.",
    "interrupted": "The run was interrupted.",
    "killed": "The process that was at work on the run was killed.",
    "unfinished": "The run has not ended: it goes on, or was interrupted.",
}


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts.status == "failed":
        yield Notice(text=sentence(facts.why or "the run failed, and its log does not say why"), tone="bad")
        if facts.log is not None and facts.log.failed is None:
            yield Paragraph(text="When that is mended, go on with", command=f"mr-ml runs resume {facts.run}")
    elif facts.status in _NOT_ENDED:
        yield Notice(text=_NOT_ENDED[facts.status], tone="caution")
        if facts.status != "running":
            yield Paragraph(text="To go on:", command=f"mr-ml runs resume {facts.run}")
    elif facts.model is None:
        yield Notice(
            text=f"The run is {facts.status}, and the model that it made is not there any more.", tone="caution"
        )
    if facts.manifest is not None:
        training = facts.manifest.training
        if not training["converged"]:
            yield Notice(text=sentence(f"the search did not reach the optimum: {training['stop']}"), tone="bad")
        for warning in training.get("warnings", ()):
            yield Notice(text=sentence(warning), tone="caution")
    if facts.inference is not None:
        for note in facts.inference.notes:
            yield Notice(text=sentence(note), tone="caution")
    for fault in facts.faults:
        yield Notice(text=f"Damaged, and left out here: {fault}", tone="bad")


CAUTIONS = Section(title="Before you read on", make=_blocks)
