"""`pdr check`."""

import sys
from pathlib import Path

import tyro

from pdr_jax.runs.inspection import inspect_run


def check(run_folder: tyro.conf.Positional[Path]) -> None:
    """Verify a run folder and say what is broken and what still works; changes nothing.

    Reads all files, compares checksums, and the run's units and clips with its data. Exit status 1
    if something is broken.

    Args:
        run_folder: A run folder.
    """
    broken = False
    for finding in inspect_run(run_folder):
        broken |= finding.broken
        print(f"{'BROKEN' if finding.broken else 'ok':<7} {finding.part:<16} {finding.text}")
    if broken:
        sys.exit(1)
