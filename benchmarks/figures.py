"""The results of a run: a `Table` for each row, with a `Figure` for each candidate."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Verdict = Literal["measured", "passed", "not offered", "missing", "failed"]


@dataclass(frozen=True)
class Figure:
    """The result of one candidate in one row.

    Attributes:
        candidate: The name of the candidate.
        verdict: `passed` means checked but not timed; `missing` means that its import failed.
        reason: The reason if the candidate was neither measured nor passed.
        minimum: The minimum of the rounds, in the row's unit.
        median: The median of the rounds, in the row's unit.
        rounds: The number of rounds.
    """

    candidate: str
    verdict: Verdict
    reason: str = ""
    minimum: float | None = None
    median: float | None = None
    rounds: int = 0


def is_wares(candidate: str) -> bool:
    """Tell whether a candidate is an entry of wares."""
    return candidate.split(maxsplit=1)[0] == "wares"


def measured(candidate: str, samples: Sequence[float]) -> Figure:
    """Make the figure of a candidate from its rounds."""
    return Figure(
        candidate,
        "measured",
        minimum=min(samples),
        median=median(samples),
        rounds=len(samples),
    )


@dataclass(frozen=True)
class Target:
    """A target of wares.

    Attributes:
        limit: The greatest figure allowed, in the row's unit or as a multiple of `of`.
        of: The candidate of whose figure `limit` is a multiple; None for a plain limit.
        above: The candidate whose figure is subtracted on both sides, so that the limit applies
            to what an adapter adds to it.
        first: Whether only the hand-written code may be faster.
    """

    limit: float
    of: str | None = None
    above: str | None = None
    first: bool = False

    def __str__(self) -> str:
        """Write the target as the tables do."""
        first = ", first" if self.first else ""
        if self.of is None:
            return f"≤ {self.limit:g}{first}"
        what = self.of if self.above is None else f"what {self.of} adds to {self.above}"
        return f"≤ {self.limit:.3g} × {what}{first}"  # noqa: RUF001 - the sign for times


@dataclass(frozen=True)
class Table:
    """All figures of one row.

    Attributes:
        row: The name of the row.
        title: A description of the work.
        unit: The unit of the figures; less is better in all of them.
        figures: One figure for each candidate.
        target: The target of wares, if the row has one.
    """

    row: str
    title: str
    unit: str
    figures: tuple[Figure, ...]
    target: Target | None = None

    def minimum_of(self, candidate: str) -> float | None:
        """Return a candidate's minimum, or None if it was not measured."""
        return next((f.minimum for f in self.figures if f.candidate == candidate), None)

    @property
    def baseline(self) -> str:
        """The candidate that is 1 in this row: that of the target, or the hand-written code."""
        return "by hand" if self.target is None or not self.target.of else self.target.of

    def ratio(self, figure: Figure) -> float | None:
        """Divide a figure by that of the baseline, as the target does; None if there is none."""
        base, under = self.minimum_of(self.baseline), 0.0
        if self.target is not None and self.target.above is not None:
            under = self.minimum_of(self.target.above) or 0.0
        if figure.minimum is None or base is None or base == under:
            return None
        return (figure.minimum - under) / (base - under)

    def misses(self) -> list[str]:
        """Describe how entries of wares miss the target."""
        return [
            f"{figure.candidate}: {miss}"
            for figure in self.figures
            if is_wares(figure.candidate) and figure.minimum is not None
            for miss in self._misses_of(figure, figure.minimum)
        ]

    def _misses_of(self, figure: Figure, own: float) -> Iterable[str]:
        if self.target is None:
            return
        reached = own if self.target.of is None else self.ratio(figure)
        if reached is not None and reached > self.target.limit:
            yield f"{reached:.3g} is over {self.target.limit:.3g}"
        if self.target.first:
            yield from (f"{other.candidate} is faster" for other in self._faster_than(own))

    def _faster_than(self, own: float) -> Iterable[Figure]:
        """Find the peers that are faster than an entry of wares."""
        for other in self.figures:
            is_peer = not is_wares(other.candidate) and other.candidate != "by hand"
            if is_peer and other.minimum is not None and other.minimum < own:
                yield other

    def as_json(self) -> dict[str, Any]:
        """Return the table as data for JSON."""
        written = asdict(self)
        written["target"] = None if self.target is None else str(self.target)
        written["baseline"] = self.baseline
        written["misses"] = self.misses()
        for figure, fields in zip(self.figures, written["figures"], strict=True):
            fields["ratio"] = self.ratio(figure)
        return written
