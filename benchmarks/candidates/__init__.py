"""The candidates, one module each. The results name modules that cannot be imported."""

from importlib import import_module

from benchmarks.candidate import Candidate

# The order of the tables: the baseline, wares, then the peers by name.
MODULES = (
    "by_hand",
    "wares",
    "aioinject",
    "dependency_injector",
    "dishka",
    "fast_depends",
    "fastapi",
    "rodi",
    "svcs",
    "that_depends",
    "wireup",
)


def load(module: str) -> Candidate:
    """Import a candidate's module and make the candidate.

    Args:
        module: One of `MODULES`.

    Raises:
        ImportError: The peer is not installed, or its import fails.
    """
    candidate: Candidate = import_module(f"{__name__}.{module}").Candidate()
    return candidate
