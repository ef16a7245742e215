"""Does what the tutorials say, in an environment that has nothing but the wheel.

For each tutorial: makes an environment, runs its ``pip install`` line with the wheel instead of
``wares``, writes its blocks of Python into the file that its ``pytest`` line names, and runs that
line. `.ci/package.py` calls this with the wheel.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(wheel: Path) -> int:
    """Follow all tutorials, and return how many do not work."""
    return sum(not follow(page, wheel) for page in sorted(ROOT.glob("docs/tutorial*.md")))


def follow(page: Path, wheel: Path) -> bool:
    """Follow one tutorial, and tell whether it works."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        venv.create(environment, with_pip=True)
        scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
        install = shlex.split(find_command(text, "pip install").replace("wares[", f"{wheel}["))
        test = shlex.split(find_command(text, "pytest"))
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        Path(folder, test[-1]).write_text("\n\n".join(blocks), "utf-8")
        return all(
            subprocess.call([scripts / program, *arguments], cwd=folder) == 0
            for program, *arguments in ([*install, "--quiet"], test)
        )


def find_command(text: str, beginning: str) -> str:
    """Find a command that a page shows, without the prompt."""
    command = re.search(rf"^\$ ({beginning} .*)$", text, re.MULTILINE)
    if command is None:
        raise SystemExit(f"The page shows no command that begins with {beginning!r}.")
    return command[1]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
