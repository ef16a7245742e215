"""The picture of the source on the page for contributors is true."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def drawing():
    """The script that draws, which belongs to no package."""
    specification = importlib.util.spec_from_file_location(
        "draw_house", ROOT / "docs" / "draw_house.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_picture_is_that_of_the_code(drawing):
    """The committed picture is what the script draws: run `python docs/draw_house.py`."""
    expected = drawing.draw(drawing.read_parts(drawing.SOURCE))

    assert expected == drawing.PICTURE.read_text("utf-8")


def test_each_part_imports_lower_rows_only(drawing):
    """Every part of the source is in one box, whose imports are in lower rows."""
    parts = drawing.read_parts(drawing.SOURCE)

    rows = drawing.arrange(parts)

    row_of = {part: number for number, row in enumerate(rows) for box in row for part in box}
    upwards = {
        (part, other)
        for part, imported in parts.items()
        for other in imported
        if row_of[other] > row_of[part]
    }
    assert (set(), set(parts)) == (upwards, set(row_of))


def test_what_imports_is_found_in_every_form(drawing, tmp_path):
    """Imports within functions count; those for type checkers and of others do not."""
    (tmp_path / "high.py").write_text(
        "import os, wares.low\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from wares.unseen import X\n"
        "def f():\n"
        "    from wares.middle import Y\n"
        "    from wares import Z\n"
    )
    for name in ("low", "middle", "unseen", "__init__"):
        (tmp_path / f"{name}.py").touch()

    parts = drawing.read_parts(tmp_path)

    assert {"low", "middle", "__init__"} == parts["high"]


def test_a_circle_is_one_box(drawing):
    """Parts that import one another are drawn as one, above what they import."""
    parts = {"a": {"b"}, "b": {"a", "c"}, "c": set(), "d": {"a"}}

    assert [[("c",)], [("a", "b")], [("d",)]] == drawing.arrange(parts)


def test_the_picture_is_an_image_that_a_browser_shows(drawing):
    """The picture is well-formed, wraps long rows, and says in titles what imports what."""
    parts = {f"adapter_{number}": {"core"} for number in range(20)} | {"core": set()}

    picture = ET.fromstring(drawing.draw(parts))  # our own, so it may be parsed

    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    boxes = list(picture.iter("{http://www.w3.org/2000/svg}rect"))
    assert "core imports nothing of ours" == titles[-1]
    assert "adapter_0 imports core" == titles[0]
    assert all(float(box.get("x")) + float(box.get("width")) <= drawing.WIDTH for box in boxes)
