"""What each technique is worth can be measured: all of them can still be taken away."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ablation import VARIANTS, WORK

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_technique_can_be_taken_away(variant) -> None:
    """With something plainer in its place, the result is right; nothing is timed here."""
    run = subprocess.run(
        [
            sys.executable,
            *("-m", "benchmarks.ablation"),
            *("--variant", variant, "--rounds", "0"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert set(WORK) == json.loads(run.stdout).keys()
