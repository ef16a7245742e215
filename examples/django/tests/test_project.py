"""Tests of the guest book, in other processes, because a process has one set of Django settings."""

import os
import subprocess
import sys
from pathlib import Path

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


ROOT = Path(__file__).parents[3]


def run(*arguments, folder):
    """Run Python in *folder*, in which the project then keeps its database."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_names_are_kept(tmp_path):
    """The names of guests are kept; a refused name is rolled back."""
    lines = run("-c", PROGRAM, folder=tmp_path).splitlines()

    assert "200 Welcome, Ada!" in lines
    assert "200 Ada" in lines
    assert '200 {"ok": ["Connection"], "failing": []}' in lines
    assert 1 == sum(line.startswith("400") for line in lines)


def test_the_project_is_checked(tmp_path):
    """`manage.py check` finds nothing wrong."""
    output = run("-m", "examples.django", "check", folder=tmp_path)

    assert "System check identified no issues" in output
