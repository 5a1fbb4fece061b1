"""The page on a run that was killed twice and went on elsewhere."""

from collections.abc import Mapping
from typing import Any

from experiments.pages.markdown import figure, origin, page, paragraph, table

SHOWN = ("mse", "mae", "psnr", "ssim_range1", "sharpness")


def document(result: Mapping[str, Any]) -> str:
    """What was started, signalled and printed, and both tables."""
    (label, *_), parts = result["rows"]["whole"], []
    for part in result["parts"]:
        lines = [f"$ {part['command']}", *(line for said in part["said"] for line in said)]
        signalled = "is left alone"
        if part["signal"]:
            signalled = (
                f"is sent {part['signal']} in its last process; all have ended after "
                f"{part['seconds_after_the_signal']:.0f} s"
            )
        parts += [
            paragraph(
                f"**{_count(part['processes'])}**, eight devices in all: {signalled}. Exit status "
                f"{', '.join(map(str, part['status']))}; checkpoints of steps "
                f"{', '.join(map(str, part['checkpoints']))}."
            ),
            "```\n" + "\n".join(lines) + "\n```\n",
        ]
    rows = [
        [words, *(figure(result["rows"][name][label][metric]) for metric in SHOWN)]
        for words, name in (("killed twice", "killed"), ("left alone, one process", "whole"))
    ]
    return page(
        "# A run on two processes, killed twice\n",
        summary_text(result),
        origin(dict(result)),
        *parts,
        "Figures on the test clips:\n",
        table(["", *SHOWN], rows),
    )


def summary(result: Mapping[str, Any]) -> str:
    """The paragraph of the front."""
    return page(
        "## [Several processes](results/several_processes.md): do they do what one does?\n",
        summary_text(result),
    )


def summary_text(result: Mapping[str, Any]) -> str:
    """How much the run differs from the one that was left alone."""
    return paragraph(
        "A training on two processes was ended by SIGTERM to one of them, went on, lost a process "
        "to SIGKILL, and was finished by one process. Its losses differ from those of one process "
        f"that was left alone by {result['losses']:.0e} at most, relatively, and the figures of "
        f"its tables by {result['tables']:.0e}: the rounding of float32."
    )


def _count(processes: int) -> str:
    return "One process" if processes == 1 else f"{processes} processes"
