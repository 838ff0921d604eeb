"""How Sphinx makes the site of the guides and docstrings: `scripts/docs.sh`.

The folder of sources is the checkout, so that links between documents are what they are in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mr_ml import __version__

project = "mr_ml"
release = version = __version__
copyright = "the authors of mr_ml"
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "hdfs_layout/README.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "command_help"]
html_theme = "furo"
html_title = f"mr_ml {release}"
# what was made from which sources is told by the version; without copies of them the site is small
html_copy_source = html_show_sourcelink = False

# anchors of headings as in the documents
myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]
autodoc_member_order = "bysource"
# types stand in the docstrings, and annotations of stored fields are long
autodoc_typehints = "none"
numpydoc_show_class_members = False
nitpicky = False
# code that only looks like a language, such as excerpts with ..., is shown as it stands
suppress_warnings = ["misc.highlighting_failure"]
