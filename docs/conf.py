"""How the guide and the API reference are built: `make docs`, without any network; warnings and broken links are errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "hail_batch_jupyter"
author = "The hail_batch_jupyter authors"
release = version = str(json.loads((Path(__file__).parents[1] / "package.json").read_text())["version"])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.viewcode", "docstrings", "magics"]
exclude_patterns = ["_build", "extensions"]
default_role = "literal"  # a single backtick in a docstring is code
nitpicky = True
# Modules that have pages of their own elsewhere.
others = "typing|collections|fractions|contextlib|concurrent|subprocess|pathlib|os|argparse|asyncio|threading|pandas|pd|IPython"
nitpick_ignore_regex = [
    ("py:.*", rf"({others})\..*"),
    ("py:.*", r"(Any|Self|Callable|Iterable|Iterator|Sequence|Mapping|Path|PathLike|NamedTuple|Literal|TracebackType|[A-Z]|_[A-Z]\w*)"),
    ("py:.*", r"(.*\.)?(Quantity|FileRef|JobDraft|JobGroupDraft|_Run|_J|BatchDraft|Template|RunningBatchType)"),  # names for types, and what users never hold
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "hail_batch_jupyter"
html_show_sourcelink = False
html_copy_source = False

# Examples run in a folder of their own, with runs of their own, as a script would, and with warnings as errors.
doctest_global_setup = """
import os, tempfile, warnings
warnings.simplefilter('error')
os.chdir(tempfile.mkdtemp())
os.environ['HAIL_BATCH_JUPYTER_RUNS'] = os.path.abspath('runs')
from pathlib import Path
import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch import *
b = hb.Batch(name='example')
j = b.new_job(name='work')
"""
doctest_test_doctest_blocks = "default"
