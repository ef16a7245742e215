"""What a run found out: one `Figure` for each row and candidate, and what was aimed at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
        above: The candidate whose figure is taken away on both sides: what is added to it
            is limited, not the whole.
        plus: What is added to the limit, in the row's unit.
        first: Whether nobody but the hand-written code may be faster.
        own: Other limits, for single entries of wares.
    """

    limit: float
    of: str | None = None
    above: str | None = None
    plus: float = 0
    first: bool = False
    own: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say it as the tables do."""
        what = f"at most {self.limit:g}"
        if self.of is not None:
            times = "" if self.limit == 1 else f"{self.limit:g} times "
            what = f"at most {times}{self.of}"
        if self.above is not None:
            what += f", counting what is added to {self.above}"
        if self.plus:
            what += f" + {self.plus:g}"
        for entry, limit in self.own.items():
            what += f", {entry} {limit:g} times"
        return f"{what}, first of all" if self.first else what


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

    def ratio(self, figure: Figure, baseline: str) -> float | None:
        """Divide a figure by a baseline; None where there is nothing to divide."""
        base = self.minimum_of(baseline)
        if figure.minimum is None or not base:
            return None
        return figure.minimum / base

    def limit_for(self, candidate: str) -> float | None:
        """Work out the target, in the row's unit; None where there is none to compare with."""
        if self.target is None:
            return None
        base = 1.0 if self.target.of is None else self.minimum_of(self.target.of)
        under = 0.0 if self.target.above is None else self.minimum_of(self.target.above)
        if base is None or under is None:
            return None
        limit = self.target.own.get(candidate, self.target.limit)
        return under + limit * (base - under) + self.target.plus

    def misses(self) -> list[str]:
        """Say by how much each entry of wares misses the target; empty where none does."""
        return [
            miss
            for figure in self.figures
            if figure.candidate.split()[0] == "wares" and figure.minimum is not None
            for miss in self._misses_of(figure, figure.minimum)
        ]

    def _misses_of(self, figure: Figure, own: float) -> Iterable[str]:
        limit = self.limit_for(figure.candidate)
        if limit is not None and own > limit:
            yield f"{figure.candidate}: {own:,.0f} {self.unit}, at most {limit:,.0f} wanted"
        if self.target is not None and self.target.first:
            for other in self.figures:
                is_peer = other.candidate.split()[0] not in {"by", "wares", "attrs"}
                if is_peer and other.minimum is not None and other.minimum < own:
                    yield (
                        f"{figure.candidate}: {own:,.0f} {self.unit}, "
                        f"{other.candidate} has {other.minimum:,.0f}"
                    )

    def as_json(self) -> dict[str, Any]:
        """Make what is written to a file."""
        written = asdict(self)
        written["target"] = None if self.target is None else str(self.target)
        written["misses"] = self.misses()
        for figure, fields in zip(self.figures, written["figures"], strict=True):
            fields["by_hand"] = self.ratio(figure, "by hand")
            fields["svcs"] = self.ratio(figure, "svcs")
        return written
