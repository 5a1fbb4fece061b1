"""`python -m pallas_kernels` and `pdr doctor`."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from pallas_kernels import doctor, gpu
from pallas_kernels.choice import Kernel, call_first, chosen
from pallas_kernels.splat2d.api import IMPLEMENTATIONS as SPLAT2D
from pallas_kernels.ssim.api import IMPLEMENTATIONS as SSIM
from pdr_jax.commands import main


@pytest.fixture
def shown(capsys):
    """Runs the report; its status, its lines, and its table by kernel and implementation."""

    def run(call, *arguments):
        status = call(arguments)
        lines = capsys.readouterr().out.splitlines()
        first = lines.index("") + 2
        cells = [line.split(maxsplit=3) for line in lines[first : lines.index("", first)]]
        return status, lines, {tuple(x[:2]): x[2:] for x in cells}

    return run


def fast(x):
    gpu.require((8, 0))
    raise ValueError("too large\nfor this device")


@pytest.fixture
def small(monkeypatch):
    """One kernel takes the place of all, which are slow to compile; its implementations."""
    table = {"reference": lambda x: x**2, "xla": lambda x: x * x, "fast": fast}
    kernel = Kernel("small", table, ("fast",))

    def square(x, implementation):
        return call_first(kernel, chosen(kernel, implementation), x)

    call = doctor.Call(square, [np.ones((2, 3), np.float32)])
    monkeypatch.setattr(doctor, "examples", lambda: [(kernel, [call])])
    return table


def test_every_implementation_is_in_the_table(shown):
    _, lines, table = shown(lambda _: main(["doctor"]))
    assert list(table) == [(k, x) for k, y in (("splat2d", SPLAT2D), ("ssim", SSIM)) for x in y]
    for kernel in ("splat2d", "ssim"):
        assert table[kernel, "reference"] == ["runs"]
        assert table[kernel, "xla"] == ["default"]
        here, why = table[kernel, "pallas_triton"]
        assert here == "refused"
        assert why.startswith("needs an NVIDIA GPU of compute capability 8.0")
        assert f"PALLAS_KERNELS_{kernel.upper()}: not set" in lines
    assert all(line.isascii() for line in lines)


@pytest.mark.usefixtures("small")
def test_a_kernel_that_fails(shown, monkeypatch):
    a100 = SimpleNamespace(platform="gpu", device_kind="NVIDIA A100", compute_capability="8.0")
    monkeypatch.setattr(gpu, "device", lambda: a100)
    status, lines, table = shown(doctor.main)
    assert status == 0
    assert "device: NVIDIA A100, platform gpu, compute capability 8.0" in lines
    assert table["small", "fast"] == ["fails", "ValueError: too large for this device"]
    assert table["small", "xla"] == ["default"]


@pytest.mark.parametrize(
    ("listed", "default", "line"),
    [
        ("fast, reference", "reference", "PALLAS_KERNELS_SMALL: fast, reference"),
        ("cuda", None, "  PALLAS_KERNELS_SMALL is 'cuda'; expected one of reference, xla, fast"),
    ],
)
@pytest.mark.usefixtures("small")
def test_the_environment_variable_is_shown(listed, default, line, shown, monkeypatch):
    monkeypatch.setenv("PALLAS_KERNELS_SMALL", listed)
    status, lines, table = shown(doctor.main)
    assert status == 0
    assert [x for x in lines if x.startswith(line)]
    assert [name for (_, name), row in table.items() if row[0] == "default"] == (
        [default] if default else []
    )


@pytest.mark.parametrize("factor", [0.999, float("nan")])
def test_check_finds_what_is_wrong(factor, small, shown):
    status, _, table = shown(doctor.main, "--check")
    assert status == 0
    assert table["small", "xla"] == ["default", "error 0e+00"]
    small["wrong"] = lambda x: factor * x**2
    status, _, table = shown(doctor.main, "--check")
    assert status == 1
    assert table["small", "wrong"][0] == "WRONG"


def test_pdr_doctor_has_the_same_exit_status(small):
    small["wrong"] = lambda x: 2 * x**2
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", "--check"])
    assert exit_.value.code == 1


@pytest.mark.usefixtures("small")
def test_a_gpu_that_jax_does_not_use_is_told(shown, monkeypatch):
    monkeypatch.setattr(shutil, "which", "/usr/bin/{}".format)
    _, lines, _ = shown(doctor.main)
    [note] = [line for line in lines if line.startswith("note:")]
    assert "NVIDIA GPU that JAX does not compute on: no CUDA plugin is installed" in note
