"""`pdr doctor`."""

import sys

from pallas_kernels.doctor import main


def doctor(check: bool = False) -> None:
    """Show what JAX sees, which kernels run here and why the others do not.

    Exit status 1 if a kernel is wrong.

    Args:
        check: Also compare values and gradients with the definition in float64.
    """
    if status := main(["--check"] if check else []):
        sys.exit(status)
