"""What type checkers must understand: checked by mypy and pyright, never run."""
