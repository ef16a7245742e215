"""How Sphinx builds the documentation: offline, and without a warning."""

from importlib import metadata

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

project = "wares"
author = "the wares contributors"
copyright = f"2026, {author}"
version = release = metadata.version("wares")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
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

# A reference to something of ours that does not exist is an error; what belongs to others is
# not looked up, as that would need a network.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!wares\.).*"),
    (r"py:.*", r"wares\.(\w+\.)*_.*"),  # private, and not under a public name either
    (r"py:.*", r"wares\.\w+\.(\w*App|Broker|[A-Z]\d*)"),  # type variables
]

html_theme = "furo"
html_title = "wares"
html_static_path = ["_static"]


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


def setup(app: Sphinx) -> None:
    """Connect our part."""
    app.connect("missing-reference", find_public_name)
