"""The candidates, one module each; a module that cannot be imported is named in the results."""

from importlib import import_module

from benchmarks.candidate import Candidate

# In the order of the tables: the baseline, ours, then the peers by name.
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
        ImportError: The peer is not installed, or does not import.
    """
    candidate: Candidate = import_module(f"{__name__}.{module}").Candidate()
    return candidate
