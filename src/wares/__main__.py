"""The command line: ``wares``, or ``python -m wares``.

The commands need packages that not everybody has installed.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, then exit the interpreter."""
    try:
        import click  # noqa: F401, PLC0415  # only the command line needs it
        import rich  # noqa: F401, PLC0415  # the same
    except ImportError as error:
        sys.exit(
            f"The command line of wares needs {error.name}, which is not installed. Install it "
            f"with the rest: pip install 'wares[cli]'"
        )
    from wares._cli.commands import commands  # noqa: PLC0415  # needs what was looked for above

    commands(prog_name="wares")


if __name__ == "__main__":
    main()
