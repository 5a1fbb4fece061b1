"""Times a function that computes on whatever JAX computes on."""

import math
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import jax
import numpy as np

from pallas_kernels import gpu

SAMPLE_GPU, SAMPLE_CPU = 0.02, 0.2
"""Seconds of calls, at least, in a sample. A GPU is waited for after them. On a CPU the system may
credit a thread's time several milliseconds late."""

MOST_CALLS = 1000
"""In a sample; calls that are waiting hold memory."""


def repeats_here() -> int:
    """Samples that give a steady median: calls on a CPU take longer."""
    return 20 if gpu.present() else 5


def milliseconds(
    call: Callable[[int], Any],
    frames: int,
    repeats: int,
    wait: Callable[[Any], Any] = jax.block_until_ready,
) -> dict[str, Any]:
    """Times a function that draws frames.

    A sample is as many calls as take 200 ms on a CPU, 20 ms on a GPU. They are waited for once, so
    that on a GPU starting a call hides behind the one before, as it does in training; a call that
    takes the host longer to start than the GPU to run costs what the host takes.

    Args:
        call: takes the number of the call, by which it may choose its inputs, and starts it.
        frames: that a call draws.
        repeats: samples, after the calls that compile and warm up.
        wait: for what a call returns, and for all calls before it.

    Returns:
        Milliseconds a frame: the "median" sample, the "quartiles" beside it and the least, as
        "wall"; and as "cpu" the least that was summed over all cores, which other work on the
        machine disturbs less. "calls" a sample.
    """
    numbers = count()

    def sample(calls: int) -> tuple[float, float]:
        start, start_cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            out = call(next(numbers))
        wait(out)
        return time.perf_counter() - start, time.process_time() - start_cpu

    sample(1)
    once, _ = sample(1)
    calls = min(math.ceil((SAMPLE_GPU if gpu.present() else SAMPLE_CPU) / once), MOST_CALLS)
    sample(calls)
    samples = [sample(calls) for _ in range(repeats)]
    wall, cpu = np.transpose(samples) * 1e3 / (calls * frames)
    lower, median, upper = np.quantile(wall, [0.25, 0.5, 0.75])
    return {
        "wall": _round(min(wall)),
        "cpu": _round(min(cpu)),
        "median": _round(median),
        "quartiles": [_round(lower), _round(upper)],
        "calls": calls,
    }


def _round(x: float) -> float:
    return float(f"{x:.4g}")
