"""The guest book, with Click's own runner."""

from click.testing import CliRunner

from examples.click.application import main


def test_who_signs_is_read(tmp_path):
    """What one invocation writes, the next one reads; a failed one is rolled back."""
    path = str(tmp_path / "guests.db")
    runner = CliRunner()

    outputs = [
        runner.invoke(main, ["--path", path, *arguments]).output
        for arguments in (["sign", "Ada"], ["sign", " "], ["read"])
    ]

    assert "Welcome, Ada!\n" == outputs[0]
    assert "Who are you?" in outputs[1]
    assert "Ada\n" == outputs[2]
