"""Do what the tutorials say, as their readers do: in empty environments, by the pages' commands.

`.ci/package.py` calls this with the wheel, which is installed in the place of ``wares``.
"""

import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: The pages, and the file that each tells its reader to write.
FILES = {"tutorial.md": "reading_list.py", "tutorial-chat.md": "chat.py"}

#: Seconds: so long a server may take to start.
PATIENCE = 30


def read_program(text: str) -> str:
    """Put together what a page tells its reader to write, from top to bottom."""
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def read_commands(text: str, wheel: Path) -> list[list[str]]:
    """List the commands of a page, which install the wheel."""
    written = re.findall(r"^\$ (.+)$", text, re.MULTILINE)
    return [shlex.split(line.replace("wares[", f"{wheel.as_posix()}[")) for line in written]


def run_server(command: list[str], folder: Path) -> int:
    """Run a server until it can be reached, and tell whether it could."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([*command, "--port", str(port)], cwd=folder) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.1)
            else:
                process.terminate()
                return 0
        process.kill()
    return 1


def follow(page: str, file: str, wheel: Path) -> list[str]:
    """Do what a page says, and give the commands that failed."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        scripts = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        (folder / file).write_text(read_program(text), "utf-8")
        for program, *arguments in read_commands(text, wheel):
            command = [str(scripts / program), *arguments]
            is_server = program == "uvicorn"
            run = run_server if is_server else lambda line, cwd: subprocess.call(line, cwd=cwd)
            if run(command, folder) != 0:
                failed.append(f"{page}: {shlex.join([program, *arguments])}")
    return failed


def main(wheel: Path) -> int:
    """Follow each tutorial, and fail if a command does."""
    failed = [line for page, file in FILES.items() for line in follow(page, file, wheel)]
    print(*(failed or ["All tutorials work."]), sep="\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
