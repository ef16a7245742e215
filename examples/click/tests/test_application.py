"""Tests of the guest book, with Click's test runner."""

from click.testing import CliRunner

from examples.click.application import main


def test_names_are_kept(tmp_path):
    """The names of guests are kept; a refused name is rolled back."""
    path = str(tmp_path / "guests.db")
    runner = CliRunner()

    outputs = [
        runner.invoke(main, ["--path", path, *arguments]).output
        for arguments in (["sign", "Ada"], ["sign", " "], ["read"])
    ]

    assert "Welcome, Ada!\n" == outputs[0]
    assert "Who are you?" in outputs[1]
    assert "Ada\n" == outputs[2]
