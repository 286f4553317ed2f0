"""How Sphinx makes the site: ``make docs``."""

import os

from napari_xmag._about import __version__

project = "napari-xmag"
author = "napari-xmag developers"
copyright = "2026, napari-xmag developers"
release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**.ipynb_checkpoints"]
myst_heading_anchors = 4  # pages link to each other's headings

# Notebooks run anew each time: what they show is what this version does.
nb_execution_mode = "force"
nb_execution_timeout = 1200
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
os.environ["PYTHONWARNINGS"] = "ignore:IProgress"  # no word about progress bars

# Docstrings follow numpydoc and say in words what comes back.
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"
add_module_names = False
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"napari-xmag {release}"
html_show_sphinx = False
html_copy_source = False
