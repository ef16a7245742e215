"""The guest book, in a process of its own: Django has one set of settings in each."""

import os
import subprocess
import sys

PROGRAM = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "examples.django.settings"
import django
django.setup()
from django.test import Client
client = Client()
for path in ("/sign?name=Ada", "/sign?name=%20", "/read", "/healthy"):
    response = client.get(path)
    print(response.status_code, response.content.decode()[:40])
"""


def run(*arguments, path):
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "GUESTS_PATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_who_signs_is_read(tmp_path):
    """What one guest writes, the next one reads; a refused one is rolled back."""
    lines = run("-c", PROGRAM, path=tmp_path / "guests.db").splitlines()

    assert "200 Welcome, Ada!" in lines
    assert "200 Ada" in lines
    assert '200 {"ok": ["Connection"], "failing": []}' in lines
    assert 1 == sum(line.startswith("400") for line in lines)


def test_the_project_is_checked(tmp_path):
    """`manage.py check` finds nothing wrong."""
    output = run("-m", "examples.django", "check", path=tmp_path / "guests.db")

    assert "System check identified no issues" in output
