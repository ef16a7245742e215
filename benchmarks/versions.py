"""The conditions of a run: Python, the machine, and the installed versions of all packages."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from benchmarks import candidates


def describe() -> dict[str, str]:
    """Describe everything that a figure depends on, with versions."""
    described = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }
    for distribution in _distributions():
        try:
            described[distribution] = version(distribution)
        except PackageNotFoundError:
            described[distribution] = "not installed"
    return described


def _distributions() -> list[str]:
    found = {"uvicorn"}
    for module in candidates.MODULES:
        try:
            found.update(candidates.load(module).distributions)
        except Exception:  # noqa: BLE001 - printed with the figures
            found.add(module.replace("_", "-"))
    return sorted(found)
