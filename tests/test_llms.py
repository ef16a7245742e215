"""The list of pages for language models."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def load():
    """Load the module, which belongs to no package."""
    specification = importlib.util.spec_from_file_location("llms", ROOT / "docs" / "llms.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_each_page_is_listed_with_its_source():
    """Every page stands in its part, with a link to its Markdown."""
    titles = {"index": "wares", "how-to/flask": "Use wares with Flask", "errors": "Errors"}

    text = load().write_index(titles, "https://example.org/")

    begin, how_to = text.split("## Begin")[1].split("## How to")
    assert "- [Errors](https://example.org/_sources/errors.md.txt)\n- [wares]" in begin
    assert "[Use wares with Flask](https://example.org/_sources/how-to/flask.md.txt)" in how_to
