"""Settings of the documentation: `make docs` builds it, and every warning is an error."""

import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]  # the checkout's own `thalweg`, and `live`
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])  # of commands that `live` asks

project = "Thalweg"
author = "The Thalweg authors"
copyright = author
release = metadata.version("thalweg")

extensions = ["myst_parser", "sphinx.ext.autodoc", "live"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_inherit_docstrings = False
autodoc_type_aliases = {"Array": "Array"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"Thalweg {release}"
