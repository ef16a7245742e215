"""The short run for development: `python -m benchmarks quick`, less than a minute."""

from collections.abc import Sequence

from benchmarks import rows
from benchmarks.figures import Table
from benchmarks.printing import print_heading, print_line
from benchmarks.row import Row, Settings

PEERS = ("wares", "svcs", "dishka", "wireup")
ROUNDS = 60
# The rows that need no web framework.
NAMES = (
    "cached",
    "value",
    "factory",
    "graph",
    "asking",
    "chain",
    "wide",
    "inject",
    "memory",
    "import",
)


async def run_quick(chosen: Sequence[Row]) -> list[Table]:
    """Run rows in few rounds, with the four containers; print one line for each row.

    Args:
        chosen: The rows; by default, those of `choose_quick`.
    """
    only = frozenset([*PEERS, "attrs-alone"])
    print_heading(PEERS)
    tables = []
    for row in chosen:
        # The limit of the slowest rows is meant for the long run.
        settings = Settings(rounds=min(ROUNDS, row.most_rounds // 3), only=only)
        tables.append(await row.run(settings))
        print_line(tables[-1], PEERS)
    return tables


def choose_quick() -> list[Row]:
    """Choose the rows that run quickly."""
    return rows.choose(NAMES)
