"""The search for fast block shapes, and how kernels look them up."""

import inspect
import json
from importlib import import_module

import jax
import numpy as np
import pytest

from pallas_kernels.splat2d import candidates, gather, shapes, tune, tuned
from pallas_kernels.tools import isolated

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


@pytest.fixture
def table(monkeypatch):
    """A table of one device."""
    made = {"GPU X": {"compute_capability": "9.0", "kernels": {"kernel": ENTRIES}}}
    monkeypatch.setattr(tuned, "table", lambda: made)
    return made


def test_tuned_options_are_looked_up_by_device(table):
    geometry = gather.Geometry(256, 256, 51, np.dtype("float32"), interpret=False)
    assert tuned.tuned("kernel", geometry, 3) == {}
    device = jax.sharding.AbstractDevice(device_kind="GPU X", num_cores=1, platform="gpu")
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
    with jax.sharding.use_abstract_mesh(mesh):
        assert tuned.tuned("kernel", geometry, 3) == {"rows": 16}
        assert tuned.tuned("other", geometry, 3) == {}


@pytest.mark.parametrize(
    ("kind", "capability", "rows"),
    [
        ("GPU X", "9.0", 16),
        ("GPU Y", "9.0", 16),  # of the same compute capability
        ("GPU Z", "9.0", 2),  # has its own
        ("GPU Y", "8.0", None),
        (None, None, None),
    ],
)
def test_a_device_that_was_not_searched_takes_its_compute_capability(
    monkeypatch, table, kind, capability, rows
):
    own = [{**ENTRIES[0], "options": {"rows": 2}}]
    table["GPU Z"] = {"compute_capability": "9.0", "kernels": {"kernel": own, "other": own}}
    table["unknown"] = {"compute_capability": None, "kernels": {"kernel": own}}
    monkeypatch.setattr(tuned, "device", lambda: tuned.Device(kind, capability))
    geometry = gather.Geometry(256, 256, 51, np.dtype("float32"), interpret=False)
    assert tuned.tuned("kernel", geometry, 3) == ({} if rows is None else {"rows": rows})
    # Kernel by kernel: GPU X lacks this one.
    assert tuned.tuned("other", geometry, 3) == ({"rows": 2} if capability == "9.0" else {})


def test_the_tuned_table_holds_options_that_kernels_have():
    for row in json.loads(tuned.TABLE.read_text()).values():
        for kernel, entries in row["kernels"].items():
            for entry in entries:
                candidates.options_of(kernel)(**entry["options"])


def test_tune_refuses_without_a_gpu(capsys):
    with pytest.raises(SystemExit):
        tune.main([])
    assert "needs a GPU: block shapes are chosen by how fast" in capsys.readouterr().err


def test_candidates_are_options_that_kernels_have():
    for kernel, choices in candidates.KERNELS.items():
        for candidate in choices.candidates:
            candidates.options_of(kernel)(**candidate)
            if choices.options is None:
                plan = import_module(f"pallas_kernels.splat2d.{kernel}").plan
                assert candidate.keys() <= inspect.signature(plan).parameters.keys()


def test_the_fastest_wins_if_it_is_clearly_faster():
    def row(median, **options):
        return {"options": options, "median": median}

    defaults = row(1.0)
    failed = {"options": {"rows": 9}, "error": "ValueError: draws something else"}
    assert tune.fastest([defaults, row(0.5, rows=2), failed, row(0.4, rows=4)]) == {"rows": 4}
    assert tune.fastest([defaults, row(0.99, rows=2)]) == {}
    assert tune.fastest([{"options": {}, "error": "no"}, row(0.5, rows=2)]) is None
    assert tune.fastest([]) is None


def test_candidates_compile_or_say_why_not(monkeypatch):
    def caller(kernel, case):
        def compiled(options):
            if "broken" in options:
                raise ValueError("does not compile")
            value = 2.0 if "wrong" in options else 1.0
            return lambda i: np.full(3, value, np.float32)

        return compiled

    tried = [{"broken": 1}, {"wrong": 1}, {"good": 1}]
    monkeypatch.setitem(tune.KERNELS, "pallas_triton", candidates.Kernel("Tile", range(9), tried))
    monkeypatch.setattr(tune, "caller", caller)
    rows = isolated.rows_here(tune.tasks, ("pallas_triton", ["window"], False), float("inf"))
    assert [row.get("error", "timed") for row in rows] == [
        "timed",
        "ValueError: does not compile",
        "ValueError: draws something else",
        "timed",
    ]


@pytest.mark.rest
def test_tune_keeps_what_it_did_not_search(monkeypatch, tmp_path, capsys):
    """End to end in the interpreter, with one candidate; a second run goes on with the table."""
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")
    monkeypatch.setattr(tuned, "table", dict)
    output = tmp_path / "made" / "tuned.json"
    run = ["--quick", "--kernels", "pallas_triton", "--output", str(output)]
    tune.main(run)
    made = json.loads(output.read_text())["cpu"]
    ((kernel, (entry,)),) = made["kernels"].items()
    assert kernel == "pallas_triton"
    assert entry["options"] in ({}, candidates.KERNELS["pallas_triton"].candidates[0])
    before = {"GPU X": {"compute_capability": "9.0", "kernels": {"pallas_triton": ENTRIES}}}
    other = {**entry, "height": 999}
    before["cpu"] = {**made, "kernels": {"other": ENTRIES, "pallas_triton": [entry, other]}}
    output.write_text(json.dumps(before))
    tune.main([*run, "--seconds", "100"])
    after = json.loads(output.read_text())
    assert after["GPU X"] == before["GPU X"]
    assert after["cpu"]["kernels"]["other"] == ENTRIES
    assert [x["height"] for x in after["cpu"]["kernels"]["pallas_triton"]] == [999, entry["height"]]
    assert capsys.readouterr().out.count("us a frame") == 4
    with pytest.raises(SystemExit):
        tune.main(["--quick"])


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
