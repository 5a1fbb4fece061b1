"""experiments/gpu_check.py works end to end where there is no GPU."""

import argparse
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import gpu_check, gpu_kernels


@pytest.mark.rest
def test_quick(tmp_path, capsys):
    output = tmp_path / "gpu/check.json"
    gpu_check.main(["--quick", "--output", str(output), "--commit", "abc"])
    result = json.loads(output.read_text())
    assert result["commit"] == "abc"
    assert result["device"] == "cpu"

    kernels = {row["kernel"]: row for row in result["kernels"]}
    assert set(kernels) == set(gpu_kernels.KERNELS)
    for kernel in ("splat2d pallas_triton", "ssim pallas_triton"):
        assert kernels[kernel]["ok"], kernels[kernel]
    assert "no interpreter" in kernels["splat2d jax_triton"]["refused"]
    (bench,) = result["bench"]
    assert bench["forward+backward"]["median"] > 0
    steps = {row["what"]: row for row in result["training"]}
    assert all("median" in row for row in steps.values()), steps
    assert np.isfinite(steps["PDR(TAU)"]["last_loss"])
    printed = capsys.readouterr().out
    assert "of PDR's step" in printed
    result["training"].append({**steps["PDR(TAU)"], "what": "TAU"})
    assert "+0.0 % over TAU" in "".join(gpu_check.summary(result))
    assert "PALLAS_KERNELS_INTERPRET" not in os.environ


@pytest.mark.parametrize(
    ("parts", "ends"),
    [
        (["training", "kernels", "bench"], {"kernels": 130, "bench": 158, "training": 200}),
        (["bench"], {"bench": 200}),
        (["kernels", "training"], {"kernels": 100 + 100 * 30 / 72, "training": 200}),
    ],
)
def test_the_parts_that_are_asked_for_share_the_time(parts, ends):
    assert gpu_check.deadlines(parts, 100, 100) == pytest.approx(ends)


def test_cases_and_implementations_are_chosen():
    labels = [task.label for task in gpu_check.bench_tasks(["B", "KTH"], ["xla"], quick=False)]
    assert {(label["case"], label["implementation"]) for label in labels} == {
        ("B", "xla"),
        ("KTH", "xla"),
    }
    assert labels[0]["frames"] > labels[1]["frames"] == 1
    everything = gpu_check.bench_tasks(None, None, quick=False)
    assert everything[-1].label["implementation"] == "xla"
    options = argparse.Namespace(cases=["A"], implementations=["pallas_triton"], quick=False)
    groups = gpu_check.groups("kernels", options)
    assert [kernel for _, kernel, _ in groups] == ["splat2d pallas_triton", "ssim pallas_triton"]
    checks = [task.label for make, *given in groups for task in make(*given, False)]
    assert {label["case"] for label in checks} == {"A"}
    assert {label["kernel"] for label in checks} == {"splat2d pallas_triton"}


def test_without_a_gpu_it_says_so(tmp_path, capsys):
    with pytest.raises(SystemExit):
        gpu_check.main(["--output", str(tmp_path / "check.json")])
    assert "try --quick" in capsys.readouterr().err


@pytest.mark.parametrize("flaw", ["none", "inaccurate", "unwritten", "leaking"])
def test_a_wrong_kernel_is_found(flaw):
    def define(x, cotangent):
        return x + x.sum(1, keepdims=True), cotangent + cotangent.sum(1, keepdims=True)

    @jax.jit
    def run(x, cotangent):
        y, d = define(x, cotangent)
        if flaw == "inaccurate":
            y = y * 1.001
        if flaw == "unwritten":
            y = y.at[1, 2].set(jnp.nan)
        if flaw == "leaking":
            d = d + 0 * x[:1]
        return y, d

    arrays = [jnp.arange(1.0, 7).reshape(2, 3)] * 2
    row = gpu_kernels.check(run, define, arrays, ("y", "x"), "float32")
    assert row["ok"] == (flaw == "none")
    assert row["written"] == (flaw != "unwritten")
    assert row["contained"] == (flaw != "leaking")
