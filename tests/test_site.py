"""The site of the documents is made without a warning: links lead somewhere, docstrings can be read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mr_ml

CHECKOUT = Path(__file__).resolve().parents[1]

pytest.importorskip("furo", reason="what makes the site is not installed: pip install -e '.[docs]'")
pytest.importorskip("myst_parser")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ("--fail-on-warning", "--keep-going", "-q", "-b", "html", "-c", str(CHECKOUT / "docs" / "site"))
    command = [sys.executable, "-m", "sphinx", *options, "-d", str(folder / "trees"), str(CHECKOUT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_document_is_a_page_that_the_first_leads_to(site: Path) -> None:
    listed = re.findall(r'href="([^"#]+\.html)"', (site / "docs" / "index.html").read_text(encoding="utf-8"))
    reached = {(site / "docs" / href).resolve().relative_to(site.resolve()).as_posix() for href in listed}
    documents = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "hdfs_layout" / "README.md"]
    expected = {path.relative_to(CHECKOUT).with_suffix(".html").as_posix() for path in documents}
    assert expected <= reached | {"docs/index.html"}


@pytest.mark.slow
def test_commands_and_functions_are_there(site: Path) -> None:
    commands = (site / "docs" / "help.html").read_text(encoding="utf-8")
    assert 'id="mr-ml-models-promote"' in commands
    assert "usage: mr-ml models promote" in commands
    functions = (site / "docs" / "api.html").read_text(encoding="utf-8")
    for name in set(mr_ml.__all__) - {"MrMlError"}:
        assert f'id="mr_ml.{name}"' in functions or f'id="mr_ml.{name.lower()}"' in functions, name
    assert 'id="mr_ml.sklearn.LogisticRegression"' in functions
