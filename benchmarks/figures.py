"""What a run found out: one `Figure` for each row and candidate, and what was aimed at."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Verdict = Literal["measured", "passed", "not offered", "missing", "failed"]


@dataclass(frozen=True)
class Figure:
    """How one candidate did one piece of work.

    Attributes:
        candidate: Its name.
        verdict: `passed` is a check without timing; `missing` did not import.
        reason: Why it was neither measured nor passed.
        minimum: The least of the rounds, in the row's unit.
        median: The middle of the rounds, in the row's unit.
        rounds: How many there were.
    """

    candidate: str
    verdict: Verdict
    reason: str = ""
    minimum: float | None = None
    median: float | None = None
    rounds: int = 0


def is_wares(candidate: str) -> bool:
    """Tell whether a candidate is one of ours."""
    return candidate.split(maxsplit=1)[0] == "wares"


def measured(candidate: str, samples: Sequence[float]) -> Figure:
    """Make the figure of a candidate's rounds."""
    return Figure(
        candidate,
        "measured",
        minimum=min(samples),
        median=median(samples),
        rounds=len(samples),
    )


@dataclass(frozen=True)
class Target:
    """What wares is to reach.

    Attributes:
        limit: At most this, in the row's unit or as a multiple of `of`.
        of: The candidate that `limit` is a multiple of; None for a plain limit.
        above: The candidate whose figure is subtracted on both sides: what is added to it
            is limited, not the whole.
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
        row: The row's name on the command line.
        title: What was done.
        unit: Of the figures; less is better in all of them.
        figures: One for each candidate.
        target: What wares is to reach, if anything.
    """

    row: str
    title: str
    unit: str
    figures: tuple[Figure, ...]
    target: Target | None = None

    def minimum_of(self, candidate: str) -> float | None:
        """Find a candidate's figure; None where it was not measured."""
        return next((f.minimum for f in self.figures if f.candidate == candidate), None)

    @property
    def baseline(self) -> str:
        """The candidate that is 1 in this row: the target's, else the hand-written code."""
        return "by hand" if self.target is None or not self.target.of else self.target.of

    def ratio(self, figure: Figure) -> float | None:
        """Divide a figure by the baseline's, as the target counts; None without a baseline."""
        base, under = self.minimum_of(self.baseline), 0.0
        if self.target is not None and self.target.above is not None:
            under = self.minimum_of(self.target.above) or 0.0
        if figure.minimum is None or base is None or base == under:
            return None
        return (figure.minimum - under) / (base - under)

    def misses(self) -> list[str]:
        """Say how each entry of wares misses the target; empty where none does."""
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
        """Find the peers that beat one of our figures."""
        for other in self.figures:
            is_peer = not is_wares(other.candidate) and other.candidate != "by hand"
            if is_peer and other.minimum is not None and other.minimum < own:
                yield other

    def as_json(self) -> dict[str, Any]:
        """Make what is written to a file."""
        written = asdict(self)
        written["target"] = None if self.target is None else str(self.target)
        written["baseline"] = self.baseline
        written["misses"] = self.misses()
        for figure, fields in zip(self.figures, written["figures"], strict=True):
            fields["ratio"] = self.ratio(figure)
        return written
