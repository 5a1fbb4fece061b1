"""`pdr check`."""

import sys
from pathlib import Path

import tyro

from pdr_jax.commands.columns import print_columns
from pdr_jax.commands.progress import working
from pdr_jax.runs.inspection import Finding, inspect_run


def check(run_folder: tyro.conf.Positional[Path]) -> None:
    """Verify a run folder and say what is broken and what still works; changes nothing.

    Reads all files, compares checksums, and the run's units and clips with its data. Exit status 1
    if something is broken.

    Args:
        run_folder: A run folder.
    """
    findings: list[Finding] = []
    with working(f"checking {run_folder}"):
        for finding in inspect_run(run_folder):
            findings.append(finding)
            state = "BROKEN" if finding.broken else "ok"
            print_columns([(state, finding.part, finding.text)], (8, 17))
    if any(finding.broken for finding in findings):
        sys.exit(1)
