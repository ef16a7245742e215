"""How Sphinx builds the documentation: offline, and without a warning.

Where READTHEDOCS is set, references to others' objects become links, which needs a network.
"""

import os
import sys
from importlib import metadata
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

sys.path.insert(0, str(Path(__file__).parent))

from llms import write_index

project = "wares"
author = "the wares contributors"
copyright = f"2026, {author}"
version = release = metadata.version("wares")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "starlette": ("https://starlette.dev", None),
        "flask": ("https://flask.palletsprojects.com/en/stable", None),
        "aiohttp": ("https://docs.aiohttp.org/en/stable", None),
        "django": (
            "https://docs.djangoproject.com/en/stable",
            "https://docs.djangoproject.com/en/stable/_objects",
        ),
    }
    if "READTHEDOCS" in os.environ
    else {}
)
exclude_patterns = ["_build"]
# `Container` in a docstring becomes a link where there is something of that name.
default_role = "py:obj"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

# A reference to something of ours that does not exist is an error. What belongs to others is a
# link where its documentation is known.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!wares\.).*"),
    (r"py:.*", r"wares\.(\w+\.)*_.*"),  # private, and not under a public name either
    (r"py:.*", r"wares\.\w+\.(\w*App|Broker|Client|[A-Z]\d*)"),  # type variables
]

html_theme = "furo"
html_title = "wares"
html_static_path = ["_static"]
html_baseurl = os.environ.get(
    "READTHEDOCS_CANONICAL_URL", "https://wares.readthedocs.io/en/stable/"
)
html_theme_options = {
    "source_repository": "https://github.com/wares-project/wares/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = "$ "
linkcheck_ignore = [r"http://127\.0\.0\.1.*", r"https://example\.(com|org).*"]


def find_public_name(
    app: Sphinx,
    environment: BuildEnvironment,
    reference: pending_xref,
    content: nodes.TextElement,
) -> nodes.Element | None:
    """Lead a reference to a private place (`wares._core.container.Container`) to the public name.

    Classes are defined in private modules and documented under the names that users import;
    annotations know only the former.

    Returns:
        The link, or None where there is no such public name.
    """
    target = reference.get("reftarget", "")
    if reference.get("refdomain") != "py" or not target.startswith("wares."):
        return None
    name = target.rpartition(".")[2]
    python = environment.get_domain("py")
    for full_name, _shown, kind, *_place in python.get_objects():
        is_public_name = full_name.startswith("wares.") and full_name.endswith(f".{name}")
        if is_public_name and kind not in {"method", "attribute", "property"}:
            return python.resolve_xref(
                environment,
                reference["refdoc"],
                app.builder,
                "obj",
                full_name,
                reference,
                content,
            )
    return None


def list_pages(app: Sphinx, error: Exception | None) -> None:
    """Write the list of pages for language models."""
    if error is None and app.builder.name == "html":
        titles = {name: title.astext() for name, title in app.env.titles.items()}
        Path(app.outdir, "llms.txt").write_text(write_index(titles, html_baseurl), "utf-8")


def setup(app: Sphinx) -> None:
    """Connect our parts."""
    app.connect("missing-reference", find_public_name)
    app.connect("build-finished", list_pages)
