"""The command line: `python -m benchmarks [quick] [ROW...]`; `--help` explains the options."""

import argparse
import asyncio
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report, rows
from benchmarks.figures import Table, is_wares
from benchmarks.printing import print_table
from benchmarks.quick import choose_quick, run_quick
from benchmarks.row import Row, Settings
from benchmarks.versions import describe


def main() -> int:
    """Run the benchmark with the options of the command line.

    Returns:
        1 if a check of wares or of the hand-written code failed, else 0. The output names peers
        that fail a check, but that is no failure of the benchmark.
    """
    options = _read_options()
    if options.list:
        for row in rows.ROWS:
            print(f"{row.name:22}{row.title}")
        return 0
    # Peers may use deprecated functions, and warnings would disturb the output.
    warnings.simplefilter("ignore")
    versions = describe()
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    tables = asyncio.run(_run(options))
    run = {"versions": versions, "tables": [table.as_json() for table in tables]}
    if options.json:
        options.json.write_text(json.dumps(run, indent=2) + "\n", "utf-8")
    if options.write:
        report.write(run)
    return int(any(_is_broken(table) for table in tables))


async def _run(options: argparse.Namespace) -> list[Table]:
    if options.quick:
        return await run_quick(options.chosen)
    settings = Settings(
        rounds=options.rounds,
        once=options.once,
        only=frozenset(name for name in options.only.lower().split(",") if name),
    )
    tables = []
    for row in options.chosen:
        tables.append(await row.run(settings))
        print_table(tables[-1])
        sys.stdout.flush()
    return tables


def _is_broken(table: Table) -> bool:
    return any(
        figure.verdict == "failed"
        and (figure.candidate == "by hand" or is_wares(figure.candidate))
        for figure in table.figures
    )


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help="names of rows, or their beginnings; all rows by default; `quick` before them: "
        "few rounds, four containers, one line for each row",
    )
    parser.add_argument("--list", action="store_true", help="list the rows, and exit")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the figures of all rows into README.md"
    )
    parser.add_argument("--once", action="store_true", help="check only, without timing")
    parser.add_argument("--rounds", type=int, default=80, metavar="N", help="default: 80")
    parser.add_argument(
        "--only",
        default="",
        metavar="CANDIDATE,...",
        help="run only these and the hand-written code",
    )
    options = parser.parse_args()
    if options.write and (options.rows or options.only or options.once):
        parser.error("--write needs the figures of all rows and candidates")
    options.quick = options.rows[:1] == ["quick"]
    try:
        options.chosen = _choose(options.rows[options.quick :], is_quick=options.quick)
    except LookupError as error:
        parser.error(str(error))
    return options


def _choose(names: Sequence[str], *, is_quick: bool) -> list[Row]:
    return choose_quick() if is_quick and not names else rows.choose(names)


if __name__ == "__main__":
    sys.exit(main())
