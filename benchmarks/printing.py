"""Tables for the terminal: one for each row, or one line for each row."""

from collections.abc import Sequence

from benchmarks.figures import Figure, Table


def print_table(table: Table) -> None:
    """Print a table: the fastest candidate first, and those without a figure last, with reasons."""
    print(f"\n{table.row}: {table.title} ({table.unit})")
    ranked = sorted(
        (figure for figure in table.figures if figure.minimum is not None),
        key=lambda figure: figure.minimum or 0,
    )
    if ranked:
        print(f"  {'':22}{'minimum':>14}{'median':>14}{table.baseline + ' = 1':>18}")
    for figure in ranked:
        print(
            f"  {figure.candidate:22}{number(figure.minimum):>14}{number(figure.median):>14}"
            f"{_ratio(table, figure):>18}"
        )
    for figure in table.figures:
        if figure.minimum is None:
            print(f"  {figure.candidate:22}{explain(figure)}")
    if table.target is not None:
        print(f"  target of wares: {table.target}")
    for miss in table.misses():
        print(f"  MISSED by {miss}")


def print_heading(peers: Sequence[str]) -> None:
    """Print the names of the columns that `print_line` fills."""
    columns = "".join(f"{peer:>9}" for peer in peers)
    print(f"{'row':22}{'baseline = 1':>24}{columns}   target of wares")


def print_line(table: Table, peers: Sequence[str]) -> None:
    """Print a row as one line: the baseline's figure, ratios, the target, and misses of it."""
    base = table.minimum_of(table.baseline)
    baseline = "" if base is None else f"{table.baseline} {number(base)} {table.unit}"
    figures = {figure.candidate: figure for figure in table.figures}
    cells = "".join(f"{_cell(table, figures.get(peer)):>9}" for peer in peers)
    misses = "; ".join(table.misses())
    verdict = f"  MISSED: {misses}" if misses else "  reached" if table.target else ""
    print(f"{table.row:22}{baseline:>24}{cells}   {table.target or ''}{verdict}", flush=True)
    for figure in table.figures:
        if figure.verdict in {"failed", "missing"}:
            print(f"  {figure.candidate} {explain(figure)}")


def number(figure: float | None) -> str:
    """Write a figure with as many digits as are significant."""
    if figure is None:
        return ""
    return format(figure, ",.0f" if figure >= 100 else ",.1f")


def explain(figure: Figure) -> str:
    """Say why a candidate has no figure."""
    return figure.verdict if not figure.reason else f"{figure.verdict}: {figure.reason}"


def _ratio(table: Table, figure: Figure) -> str:
    ratio = table.ratio(figure)
    return "" if ratio is None else format(ratio, ".2f")


def _cell(table: Table, figure: Figure | None) -> str:
    if figure is None or figure.minimum is None:
        return "-"
    return _ratio(table, figure) or number(figure.minimum)
