"""Tables for people who read a terminal."""

from collections.abc import Iterable

from benchmarks.figures import Figure, Table


def print_table(table: Table) -> None:
    """Print a table: the fastest first, those without a figure last, each with its reason."""
    print(f"\n{table.row}: {table.title} ({table.unit})")
    ranked = sorted(
        (figure for figure in table.figures if figure.minimum is not None),
        key=lambda figure: figure.minimum or 0,
    )
    if ranked:
        print(f"  {'':22}{'minimum':>14}{'median':>14}{'/ by hand':>12}{'/ svcs':>9}")
    for figure in ranked:
        print("".join(_cells(table, figure)))
    for figure in table.figures:
        if figure.minimum is None:
            print(f"  {figure.candidate:22}{_say(figure)}")
    if table.target is not None:
        print(f"  target of wares: {table.target}")
    for miss in table.misses():
        print(f"  MISSED by {miss}")


def _cells(table: Table, figure: Figure) -> Iterable[str]:
    yield f"  {figure.candidate:22}"
    yield f"{_number(figure.minimum):>14}{_number(figure.median):>14}"
    for baseline, width in (("by hand", 12), ("svcs", 9)):
        ratio = table.ratio(figure, baseline)
        yield f"{'' if ratio is None else format(ratio, '.2f'):>{width}}"


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return format(number, ",.0f" if number >= 100 else ",.1f")


def _say(figure: Figure) -> str:
    return figure.verdict if not figure.reason else f"{figure.verdict}: {figure.reason}"
