"""Starts several processes that find each other, each with simulated devices, and waits for them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(
    words: Sequence[str], *, count: int = 2, devices: int = 1, cwd: Path
) -> list[subprocess.Popen[str]]:
    """`python WORDS` as often as asked, with the variables by which JAX joins them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache/jax"),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} "
        "--xla_backend_optimization_level=0",
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "datasets", "tests")),
    }
    joined = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": str(count)}
    if count == 1:
        joined = {}
    return [
        _start(words, cwd, {**shared, **joined, "JAX_PROCESS_ID": str(index)} if joined else shared)
        for index in range(count)
    ]


def _start(words: Sequence[str], cwd: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes: Sequence[subprocess.Popen[str]], seconds: float = 240) -> list[tuple]:
    """(exit status, stdout, stderr) of each, in order; those that do not end are killed."""
    ends = time.monotonic() + seconds
    results = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=max(ends - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        results.append((process.returncode, out, err))
    return results


def run(words: Sequence[str], **options) -> list[tuple]:
    """`start` and `finish`; all have to succeed."""
    results = finish(start(words, **options))
    for code, _, err in results:
        assert code == 0, err
    return results
