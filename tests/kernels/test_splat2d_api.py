"""What splat2d refuses, how it chooses an implementation, and its benchmark."""

import inspect
import json

import jax
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d import IMPLEMENTATIONS, api, gather, shapes, tuned
from pallas_kernels.tools import bench, bench_table, roofline, tune

ARRAYS = {
    "mean": np.zeros((2, 5, 2), np.float32),
    "scale": np.ones((2, 5, 2), np.float32),
    "rotation": np.zeros((2, 5), np.float32),
    "amplitude": np.ones((2, 5, 3), np.float32),
}


def call(**changes):
    """As users call it: without the checks of shapes that only tests add to signatures."""
    return inspect.unwrap(splat2d)(**{**ARRAYS, "height": 4, "width": 6, **changes})


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mean": zeros(2, 5, 3)}, ValueError, r"mean has shape \(2, 5, 3\); expected .*N, 2"),
        ({"mean": zeros(2)}, ValueError, r"mean has shape \(2,\)"),
        ({"scale": zeros(2, 4, 2)}, ValueError, r"scale has shape .* expected \(2, 5\)"),
        ({"scale": zeros(5, 2)}, ValueError, "broadcast first"),
        ({"scale": zeros(1, 5, 2)}, ValueError, "broadcast first"),
        ({"rotation": zeros(2, 5, 1)}, ValueError, "rotation has shape"),
        ({"rotation": zeros()}, ValueError, "rotation has shape"),
        ({"amplitude": zeros(2, 5)}, ValueError, "amplitude has shape"),
        ({"amplitude": zeros(2, 5, 0)}, ValueError, r"expected \(..., N, C\)"),
        ({"mean": zeros(2, 5, 2, dtype=np.int32)}, TypeError, "mean has dtype int32"),
        ({"amplitude": zeros(2, 5, 3, dtype=np.float16)}, TypeError, "float16.* cast it"),
        ({"height": 0}, ValueError, "height is 0"),
        ({"width": -3}, ValueError, "width is -3"),
        ({"width": 4.0}, TypeError, "width is 4.0"),
        ({"height": True}, TypeError, "height is True"),
        ({"window": 4}, ValueError, "window is 4; expected an odd number: use 5"),
        ({"window": 0}, ValueError, "window is 0"),
        ({"window": "5"}, TypeError, "window is '5'"),
        ({"sampling": "nearest"}, ValueError, "exact, bilinear"),
        ({"sampling": "bilinear"}, ValueError, "needs an odd window"),
        ({"implementation": "cuda"}, ValueError, "'cuda'; expected one of reference, xla"),
        ({"implementation": ["xla", "cuda"]}, ValueError, "'cuda'"),
        ({"implementation": []}, ValueError, "empty"),
    ],
)
def test_refusals(changes, error, message):
    with pytest.raises(error, match=message):
        call(**changes)


def test_numpy_sizes_are_accepted():
    assert call(height=np.int64(4), window=np.int32(3)).shape == (2, 4, 6, 3)


def test_implementations_are_tried_in_order(monkeypatch):
    def refuse(*arrays, **options):
        raise NotImplementedError("not on this machine")

    monkeypatch.setitem(IMPLEMENTATIONS, "elsewhere", refuse)
    np.testing.assert_array_equal(call(implementation=["elsewhere", "xla"]), call())
    with pytest.raises(NotImplementedError, match="elsewhere: not on this machine"):
        call(implementation="elsewhere")


def test_cases_are_reproducible_and_partly_off_the_frame():
    case = shapes.WORKLOADS["KTH"]
    first, again, other = case.arguments(1), case.arguments(1), case.arguments(2)
    assert all((x == y).all() for x, y in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()
    assert (first[0] < -0.5).any()
    assert [x.shape for x in first] == [(16, 400, 2), (16, 400, 2), (16, 400), (16, 400, 1)]


def test_bench_writes_a_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "WORKLOADS", {"tiny": shapes.Case(2, 8, 8, 1, 3, 5)})
    output = tmp_path / "results" / "bench.json"
    bench.main(["--repeats", "1", "--output", str(output)])
    record = json.loads(output.read_text())
    measured = [(row["implementation"], row["frames"]) for row in record["rows"]]
    here = [name for name in bench.ROWS if name not in api.ON_GPU]
    assert measured == [(name, frames) for name in here for frames in (2, 1)]
    refused = {row["implementation"]: row["reason"] for row in record["left_out"]}
    assert list(refused) == list(api.ON_GPU)
    assert all("needs an NVIDIA GPU" in reason for reason in refused.values())
    for row in record["rows"]:
        for part in bench_table.PASSES:
            assert 0 < row[part]["wall"] <= row[part]["median"]
            assert row["implementation"] == "torch" or row[part]["bytes"] > 0
    assert {"command", "commit", "versions", "hardware", "date", "seed"} <= set(record)
    assert capsys.readouterr().err.count("times faster than grid_sample") == 1


def test_bench_leaves_out_what_does_not_fit(monkeypatch, capsys):
    cases = {"image": shapes.WORKLOADS["image"], "everywhere": shapes.Case(1, 8, 8, 1, 3, None)}
    monkeypatch.setattr(bench, "WORKLOADS", cases)
    bench.main(["--cases", "image", "--implementations", "reference", "grid_sample"])
    bench.main(["--cases", "everywhere", "--implementations", "grid_sample"])
    printed = capsys.readouterr()
    assert printed.out.count('"rows": []') == 2
    assert printed.err.count("dense arrays too large") == 2
    assert printed.err.count("needs a window") == 1


def test_bench_does_not_time_the_interpreter(monkeypatch, capsys):
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")
    with pytest.raises(SystemExit):
        bench.main([])
    assert "the interpreter's time says nothing" in capsys.readouterr().err


def test_bench_table():
    def row(implementation, frames, **figures):
        return {"case": "A", "implementation": implementation, "frames": frames} | {
            part: {"median": 1.0, "bytes": 2**20, "floor": None, **figures}
            for part in bench_table.PASSES
        }

    result = {
        "hardware": {"device": "NVIDIA H200"},
        "shapes": {"A": shapes.WORKLOADS["A"]._asdict()},
        "rows": [
            row("quick", 256, median=0.002, floor=0.0005),
            row("quick", 1, median=0.1),
            row("grid_sample", 3, median=4.0),
            row("grid_sample", 1, median=5.0),
        ],
    }
    header, *lines = bench_table.lines(result)
    ratio = header.index("times faster than grid_sample")
    assert [line[ratio] for line in lines] == ["2,000", "50.0", "1.00", "1.00"]
    assert lines[0][header.index("us a frame, forward")] == "2.00"
    assert lines[0][header.index("frames a second, forward")] == "500,000"
    assert [line[header.index("% of the roofline")] for line in lines] == ["25%", "", "", ""]
    # What nobody measured has no column.
    for x in result["rows"]:
        for part in bench_table.PASSES:
            x[part]["bytes"] = x[part]["floor"] = None
    assert not {"MiB a frame, both", "% of the roofline"} & set(bench_table.lines(result)[0])


@pytest.mark.parametrize(
    ("case", "forward", "backward"),
    [("A", 0.36, 0.53), ("B", 0.031, 0.030), ("weather", 0.152, 0.173)],
)
def test_roofline(case, forward, backward):
    """Up to the part of the windows that lies off the frame: see `shapes.Case.arguments`."""
    floors = roofline.floors(shapes.WORKLOADS[case], "NVIDIA H200")
    assert 0.6 * forward < floors["forward"] < 1.05 * forward
    assert 0.6 * backward < floors["forward+backward"] - floors["forward"] < 1.05 * backward
    assert roofline.floors(shapes.WORKLOADS[case], "cpu") == {}


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
