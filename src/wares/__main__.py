"""The command line: ``wares``, or ``python -m wares``.

The commands need the packages of the extra ``cli``, and this module says so if they are missing.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and exit the interpreter."""
    try:
        import click  # noqa: F401, PLC0415  # only the command line needs it
        import rich  # noqa: F401, PLC0415  # the same
    except ImportError as error:
        sys.exit(
            f"The command line of wares needs {error.name}, which is not installed. Install its "
            f"packages: pip install 'wares[cli]'"
        )
    from wares._cli.commands import commands  # noqa: PLC0415  # it imports these packages

    commands(prog_name="wares")


if __name__ == "__main__":
    main()
