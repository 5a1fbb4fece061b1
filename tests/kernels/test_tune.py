"""The search for fast block shapes, and how kernels look them up."""

import json

import jax
import numpy as np
import pytest

from pallas_kernels.splat2d import gather, shapes, tune, tuned

ENTRIES = [
    {"height": 256, "width": 256, "channels": 3, "window": 51, "options": {"rows": 16}},
    {"height": 32, "width": 32, "channels": 2, "window": 15, "options": {"rows": 4}},
    {"height": 32, "width": 64, "channels": 69, "window": 15, "options": {"side": 8}},
]


@pytest.mark.parametrize(
    ("geometry", "channels", "options"),
    [
        ((200, 300, 41), 1, {"rows": 16}),
        ((40, 40, 11), 4, {"rows": 4}),
        ((40, 40, 11), 9, {"side": 8}),  # another kernel, however far
        ((256, 256, None), 3, {"rows": 16}),
    ],
)
def test_tuned_options_are_those_of_the_nearest_workload(geometry, channels, options):
    geometry = gather.Geometry(*geometry, np.dtype("float32"), interpret=False)
    assert tuned.nearest(ENTRIES, geometry, channels) == options
    assert tuned.nearest(ENTRIES[:2], geometry, 64) == {}


def test_tuned_options_are_looked_up_by_device(monkeypatch):
    monkeypatch.setattr(tuned, "table", lambda: {"GPU X": {"kernel": ENTRIES}})
    geometry = gather.Geometry(256, 256, 51, np.dtype("float32"), interpret=False)
    assert tuned.tuned("kernel", geometry, 3) == {}
    device = jax.sharding.AbstractDevice(device_kind="GPU X", num_cores=1, platform="gpu")
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
    with jax.sharding.use_abstract_mesh(mesh):
        assert tuned.tuned("kernel", geometry, 3) == {"rows": 16}
        assert tuned.tuned("other", geometry, 3) == {}


def test_the_tuned_table_holds_options_that_kernels_have():
    for kernels in json.loads(tuned.TABLE.read_text()).values():
        for kernel, entries in kernels.items():
            for entry in entries:
                tune.options_of(kernel)(**entry["options"])


def test_tune_refuses_without_a_gpu(capsys):
    with pytest.raises(SystemExit):
        tune.main([])
    assert "needs a GPU: block shapes are chosen by how fast" in capsys.readouterr().err


def test_tune_searches_kernels_that_exist():
    """In the interpreter: every kernel and what its first candidate changes."""
    for kernel, choices in tune.KERNELS.items():
        for candidate in choices.candidates:
            tune.options_of(kernel)(**candidate)


def test_tune_keeps_the_fastest_that_draws_the_same(monkeypatch, capsys):
    took = {"defaults": 1.0, "slower": 2.0, "wrong": 0.1, "fast": 0.5, "broken": 0.1, "level": 0.49}

    def caller(kernel, case):
        def run(options):
            name = options.get("name", "defaults")
            if name == "broken":
                raise ValueError("does not compile")

            def call(i):
                return np.full(3, 2.0 if name == "wrong" else 1.0, np.float32)

            call.took = took[name]
            return call

        return run

    choices = tune.Kernel("Tile", range(9), [{"name": name} for name in took if name != "defaults"])
    monkeypatch.setitem(tune.KERNELS, "pallas_triton", choices)
    monkeypatch.setattr(tune, "caller", caller)
    monkeypatch.setattr(tune.timing, "milliseconds", lambda call, *_: {"median": call.took})
    case = shapes.SMALL["window"]
    assert tune.search("pallas_triton", case, float("inf")) == {"name": "level"}
    printed = capsys.readouterr().out
    assert "{'name': 'wrong'}: draws something else" in printed
    assert "{'name': 'broken'}: ValueError: does not compile" in printed
    assert tune.search("pallas_triton", case, 0.0) == {}  # no time for more than the defaults


@pytest.mark.parametrize(
    ("kernel", "case", "options"),
    [
        ("pallas_triton", "window of one pixel", {"down": 1, "across": 1}),
        ("pallas_triton_vjp", "window of one pixel", {"gaussians": 2}),
        ("pallas_triton_matrix", "many channels", {"channels": 16}),
    ],
)
def test_tune_calls_kernels_with_options(monkeypatch, kernel, case, options):
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")
    run = tune.caller(kernel, shapes.SMALL[case])
    assert tune.alike(run(options)(0), run({})(0))
