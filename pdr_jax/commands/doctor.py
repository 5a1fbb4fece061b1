"""`pdr doctor`: what a bug report needs."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pallas_kernels.doctor import main as kernels
from pdr_datasets.store import default_data_dir
from pdr_jax.commands.columns import print_columns

VARIABLES = ("PDR_DATA_DIR", "JAX_PLATFORMS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES")
_GIB = 2**30


def doctor(check: bool = False) -> None:
    """Show what a bug report needs: versions, machine, data, devices, and which kernels run here.

    Exit status 1 if a kernel is wrong.

    Args:
        check: Also compare values and gradients with the definition in float64.
    """
    print_columns([*_versions(), *_machine(), *_data()], (14,))
    if status := kernels(["--check"] if check else []):
        sys.exit(status)


def _versions() -> Iterator[tuple[str, str]]:
    """Of Python and of what pdr-jax needs; then its extras, and what each one lacks."""
    yield "Python", f"{platform.python_version()}, {sys.executable}"
    yield "pdr-jax", f"{metadata.version('pdr-jax')}, {Path(__file__).parents[1]}"
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires("pdr-jax") or ():
        named = re.match(r"([\w.-]+)(?:.*extra == [\"']([\w-]+)[\"'])?", requirement)
        if named:
            found.setdefault(named[2] or "", []).append(named[1])
    needs = found.pop("", [])
    yield "needs", ", ".join(f"{name} {_version(name) or 'MISSING'}" for name in needs)
    for extra in sorted(found.keys() - {"dev", "test"}):
        names = found[extra]
        missing = [name for name in names if not _version(name)]
        there = ", ".join(f"{name} {_version(name)}" for name in names if _version(name))
        yield f"extra {extra}", f"not installed: {', '.join(missing)}" if missing else there


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _machine() -> Iterator[tuple[str, str]]:
    yield "platform", platform.platform()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "CPUs", f"{usable} of {os.cpu_count()} usable, {platform.machine()}"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "memory", f"{total / _GIB:.1f} GiB"
    for name in VARIABLES:
        if name in os.environ:
            yield name, os.environ[name]


def _data() -> Iterator[tuple[str, str]]:
    """Free disk, and which data sets are prepared."""
    yield "here", f"{Path.cwd()}, {_free(Path.cwd())}"
    try:
        folder = default_data_dir()
    except OSError as error:
        yield "data", str(error)
        return
    yield "data", f"{folder}, {_free(folder)}" if folder.is_dir() else f"{folder}, not made yet"
    for info in sorted(folder.glob("*/*/*/dataset_info.json")):
        build = info.parent
        size = sum(file.stat().st_size for file in build.iterdir() if file.is_file())
        yield "  prepared", f"{build.relative_to(folder)}, {size / _GIB:.3f} GiB"


def _free(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free / _GIB:.1f} GiB free"
