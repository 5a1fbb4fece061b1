"""What every committed result records of how it came about."""

import sys
from pathlib import Path
from typing import Any

from pallas_kernels.tools.record import hardware, origin
from pdr_jax.runs.checkpoints import versions

RESULTS = Path(__file__).parent / "results"


def record(*, seeds: list[int]) -> dict[str, Any]:
    """Command, commit, versions, hardware, date and seeds of the process that calls it."""
    here = hardware()
    return {
        **origin(f"experiments.{Path(sys.argv[0]).stem}", packages=versions()),
        "hardware": f"{here['cpu']}, {here['cores']} cores; jax on {here['device']}",
        "seeds": seeds,
    }
