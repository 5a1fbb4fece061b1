"""Checks every GPU kernel on the device against its definition in float64: see `gpu_check`.

A task is one kernel, case and dtype: forward and all gradients in one program. Its row holds

    errors     the relative error of each result in the Euclidean norm
    written    no result has a NaN, although the program's memory was full of them before
    repeats    the results have the same bits when that memory was full of ones
    contained  a NaN in one frame appears in that frame's results and changes no bit of the others
"""

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels import gpu, splat2d, ssim
from pallas_kernels.splat2d import api as splat2d_api
from pallas_kernels.splat2d.shapes import SMALL, WORKLOADS, Case
from pallas_kernels.ssim import api as ssim_api
from pallas_kernels.ssim import gaussian_window
from pallas_kernels.tools.isolated import Row, Task

CASES = {name: WORKLOADS[name] for name in ("A", "B", "KTH", "weather")}
# As many Gaussians as pixels, on a frame whose dense definition fits into memory.
CASES["tracked"] = WORKLOADS["tracked"]._replace(height=40, width=40, gaussians=1600)
CASES |= {name: case for name, case in SMALL.items() if case.sampling == "exact"}

SSIM_CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "TaxiBJ": ((64, 32, 32, 2), {}),
    "KTH": ((4, 128, 128, 1), {}),
    "weather": ((2, 32, 64, 69), {"data_range": (-3.0, 3.0)}),
    "same": ((3, 33, 47, 2), {"padding": "same", "data_range": 255.0}),
    "kelvin": ((2, 40, 37, 1), {"data_range": (280.0, 280.5)}),
    "smaller than the window": (
        (2, 4, 3, 5),
        {"windows": (gaussian_window(5), gaussian_window(3)), "padding": "same"},
    ),
}
"""Shapes (F, H, W, C) and options of `ssim`."""

LIMITS = {"float32": 3e-5, "bfloat16": 2**-7}
"""Of the errors."""

QUICK: dict[str, dict[str, Any]] = {
    "splat2d": {"quick": Case(2, 4, 5, 1, 2, 3)},
    "ssim": {"quick": ((2, 3, 4, 1), {"windows": (gaussian_window(3),) * 2, "padding": "same"})},
}

KERNELS = (
    *(f"splat2d {name}" for name in splat2d_api.ON_GPU),
    *(f"ssim {name}" for name in ssim_api.ON_GPU),
)


def tasks(kernel: str, only: Collection[str] | None, quick: bool) -> list[Task]:
    """The checks of one of KERNELS, on `only` some cases; `quick` is one small case."""
    function, implementation = kernel.split()
    check: Callable = _check_splat if function == "splat2d" else _check_ssim
    full: dict[str, Any] = {"splat2d": CASES, "ssim": SSIM_CASES}
    cases = QUICK[function] if quick else full[function]
    if only is not None and not quick:
        cases = {name: case for name, case in cases.items() if name in only}
    return [
        Task(
            {"kernel": kernel, "case": name, "dtype": dtype},
            partial(check, implementation, case, dtype),
        )
        for name, case in cases.items()
        for dtype in (["float32"] if quick else LIMITS)
    ]


def _check_splat(implementation: str, case: Case, dtype: str) -> Row:
    case = case._replace(frames=2 if case.frames < 2 or case in WORKLOADS.values() else case.frames)
    *places, amplitude = map(jnp.asarray, case.arguments(seed=3))
    cotangent = jnp.asarray(case.cotangent(seed=3), dtype)
    names = ("frame", "mean", "scale", "rotation", "amplitude")
    arrays = [*places, amplitude.astype(dtype), cotangent]
    return check(_splat(implementation, case), _splat("reference", case), arrays, names, dtype)


@cache
def _splat(implementation: str, case: Case) -> Callable:
    def draw(*arrays):
        return splat2d(*arrays, **case.options, implementation=implementation)

    return jax.jit(partial(_with_gradients, draw))


def _check_ssim(implementation: str, case: tuple, dtype: str) -> Row:
    shape, options = case
    rng = np.random.default_rng(0)
    y = rng.random(shape).cumsum(-3).cumsum(-2)
    y /= y.max()
    x = y + 0.1 * rng.standard_normal(shape)
    limits = options.get("data_range", 1.0)
    low, high = limits if isinstance(limits, tuple) else (0.0, limits)
    x, y = (jnp.asarray(low + (high - low) * z, dtype) for z in (x, y))
    cotangent = jnp.linspace(0.5, 1, shape[0], dtype=jnp.float32)

    def similarity(name):
        return jax.jit(partial(_with_gradients, partial(ssim, **options, implementation=name)))

    names = ("ssim", "x", "y")
    return check(
        similarity(implementation), similarity("reference"), [x, y, cotangent], names, dtype
    )


def _with_gradients(function, *arrays):
    """The result and the cotangents of all arrays but the last, which is the result's cotangent."""
    *inputs, cotangent = arrays
    out, pull = jax.vjp(function, *inputs)
    return out, *pull(cotangent)


def check(run, define, arrays: list, names: Sequence[str], dtype: str) -> Row:
    """Checks a jitted function of arrays that all have the frames as leading axis.

    Args:
        run: (*arrays) -> results.
        define: the same by the definition; is called in float64.
        arrays: its arguments. A NaN in the first one has to show all over the frame.
        names: of the results.
        dtype: a key of LIMITS.
    """
    quick_compilation = {"xla_backend_optimization_level": 0} if gpu.interpreting() else None
    compiled = run.lower(*arrays).compile(quick_compilation)
    first = _over(np.nan, compiled, arrays)
    second = _over(1.0, compiled, arrays)
    with jax.enable_x64(True):
        want = jax.device_get(define(*(jnp.asarray(x, jnp.float64) for x in arrays)))
    errors = {
        name: float(f"{_error(got, exact):.2g}")
        for name, got, exact in zip(names, first, want, strict=True)
    }
    contained = True
    for place, array in enumerate(arrays):
        spoilt = [*arrays]
        spoilt[place] = array.at[tuple(size // 2 for size in (1, *array.shape[1:2]))].set(jnp.nan)
        results = jax.device_get(compiled(*spoilt))
        contained &= all(_same(x[1:], y[1:]) for x, y in zip(results, first, strict=True))
        contained &= place > 0 or bool(np.isnan(results[0][0]).all())
    row = {
        "errors": errors,
        "limit": LIMITS[dtype],
        "written": all(bool(np.isfinite(np.asarray(x, np.float32)).all()) for x in first),
        "repeats": all(_same(x, y) for x, y in zip(first, second, strict=True)),
        "contained": contained,
    }
    accurate = all(error <= LIMITS[dtype] for error in errors.values())  # so NaN is not
    return {**row, "ok": accurate and row["written"] and row["repeats"] and contained}


def _over(value: float, compiled, arrays) -> list[np.ndarray]:
    """The results in memory that held `value` before."""
    memory = compiled.memory_analysis()
    sizes = [x.size * x.dtype.itemsize for x in jax.tree.leaves(compiled.out_info)]
    sizes += [memory.temp_size_in_bytes] if memory else []
    held = [jnp.full((size // 4 + 1,), value, jnp.float32) for size in sizes]
    jax.block_until_ready(held)
    del held  # the allocator hands the same memory out again
    return jax.device_get(compiled(*arrays))


def _error(got, want) -> float:
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return float(np.linalg.norm(got - want)) / max(float(np.linalg.norm(want)), 1e-30)


def _same(x, y) -> bool:
    return np.asarray(x).tobytes() == np.asarray(y).tobytes()
