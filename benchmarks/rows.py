"""All rows, in the order in which they are run and printed."""

from collections.abc import Sequence

from benchmarks import adapter_rows, container_rows, scaling_rows, size_rows, web_rows
from benchmarks.row import Row

ROWS: Sequence[Row] = (
    *container_rows.ROWS,
    *size_rows.ROWS,
    *web_rows.ROWS,
    *adapter_rows.ROWS,
    *scaling_rows.ROWS,
)


def choose(names: Sequence[str]) -> list[Row]:
    """Choose rows by their names.

    Args:
        names: Names, or beginnings of names up to a hyphen: `tasks` chooses `tasks-1`, `tasks-10`
            and so on. Without names, all rows are chosen.

    Raises:
        LookupError: There is no such row.
    """
    for name in names:
        if not any(_fits(row, name) for row in ROWS):
            known = ", ".join(row.name for row in ROWS)
            raise LookupError(f"There is no row named {name!r}. There are: {known}.")
    return [row for row in ROWS if not names or any(_fits(row, name) for name in names)]


def _fits(row: Row, name: str) -> bool:
    return row.name == name or row.name.startswith(f"{name}-")
