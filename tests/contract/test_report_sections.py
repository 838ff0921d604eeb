"""What the page relies on, of every section of a report, built in or not.

A section joins by `SECTIONS`; every one of these is held on facts of every sort: those of the fixtures here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Commands

from hdfs_layout import append_events, open_root
from mr_ml.catalog.run import RunDocument, start_run
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.reports.base import SECTIONS, Section
from mr_ml.reports.blocks import Block, Notice, Table
from mr_ml.reports.facts import Facts, find_facts
from mr_ml.reports.page import page


@pytest.fixture(scope="module")
def all_facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    folder = tmp_path_factory.mktemp("sections")
    mr_ml = Commands(folder / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(0)
    lines = [f"{int(x + noise > 0)},{x:.3f}" for x, noise in rng.normal(size=(200, 2)).tolist()]
    (folder / "rows.csv").write_text("\n".join(["label,x", *lines]) + "\n")
    mr_ml("pack", folder / "rows.csv", "--to", "rows", "--split", "train=0.5,test=0.5")
    mr_ml("train", "rows", "--model", "m", "--inference", "-r", "inline")
    mr_ml("train", "rows", "--model", "m", "--l2", "0.1", "-r", "inline")
    mr_ml("evaluate", "m@1", "rows", "--save", "-r", "inline")
    mr_ml("tune", "rows", "--model", "tuned", "--l2", "0.1,1", "--folds", "2", "-r", "inline")
    root = open_root(str(mr_ml.root))
    start_run(root, "begun", RunDocument(spec=LinearSpec(dataset="gone@1", model="later")))
    start_run(root, "failed", RunDocument(spec=LinearSpec(dataset="rows@1", model="later")))
    append_events(root.store, root.layout.run_log("failed"), [{"event": "failed", "stop": "for a reason"}])
    found = {name: find_facts(root, name) for name in ("m@1", "m@2", "tuned", "begun", "failed")}
    found["a model alone"] = replace(found["m@1"], document=None, log=None, dataset=None, moments=None, inference=None)
    found["a run alone"] = replace(found["m@1"], model=None, manifest=None, evaluations=())
    found["nothing"] = Facts(run="r", document=None, log=None)
    return found


@pytest.mark.parametrize("name", list(SECTIONS))
def test_every_section_says_something_of_everything(name: str, all_facts: dict[str, Facts]) -> None:
    section = SECTIONS.get(name)
    assert section.title
    for facts in all_facts.values():
        blocks = list(section.make(facts))
        assert blocks == list(section.make(facts))
        for block in blocks:
            assert isinstance(block, Block)
            if isinstance(block, Table):
                assert {len(row) for row in block.rows} <= {len(block.header)}
                assert set(block.heavy) <= set(range(len(block.rows)))


def test_every_sort_of_facts_makes_a_page(all_facts: dict[str, Facts]) -> None:
    for facts in all_facts.values():
        assert page(facts).endswith("</html>\n")


@pytest.fixture
def another() -> Iterator[None]:
    def make(facts: Facts) -> list[Block]:
        return [Notice(text=f"<b>{facts.run}", tone="good")] if facts.model is None else []

    SECTIONS.register("another", Section(title="From <another> package", make=make))
    yield
    SECTIONS.unregister("another")


@pytest.mark.usefixtures("another")
def test_a_section_from_outside_is_shown_last_where_it_has_something_to_say(all_facts: dict[str, Facts]) -> None:
    text = page(all_facts["begun"])
    assert "&lt;b&gt;begun" in text
    assert text.rindex("<section ") == text.index('<section id="another"')
    assert "another" not in page(all_facts["m@1"])


def test_sections_are_a_file_each() -> None:
    folder = Path(__file__).parents[2] / "mr_ml" / "reports" / "sections"
    assert len(SECTIONS.built_in) == len(list(folder.glob("*.py"))) - 1
