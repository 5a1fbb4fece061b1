"""The benchmark of splat2d: its record, its table and the roofline beside it."""

import json

import pytest

from pallas_kernels.splat2d import api, bench, bench_table, roofline, shapes


@pytest.mark.rest
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


def test_bench_goes_on_after_a_row_that_fails(monkeypatch, tmp_path):
    """Whatever it raises; and leaves what it measured if it is cut off."""
    output = tmp_path / "bench.json"

    def measure(case, implementation, repeats, seed):
        if implementation == "xla":
            raise ValueError("does not lower")
        if case.channels == 69:
            raise KeyboardInterrupt
        return {part: {"median": 1.0, "cpu": 1.0} for part in bench_table.PASSES}

    monkeypatch.setattr(bench, "measure", measure)
    names = ["xla", "base_grid"]
    run = ["--cases", "B", "weather", "--implementations", *names, "--output", str(output)]
    with pytest.raises(KeyboardInterrupt):
        bench.main(run)
    left = json.loads(output.read_text())
    assert [(row["implementation"], row["frames"]) for row in left["rows"]] == [
        ("base_grid", 32),
        ("base_grid", 1),
    ]
    assert [row["case"] for row in left["left_out"]] == ["B", "B", "weather", "weather"]
    assert {row["reason"] for row in left["left_out"]} == {"ValueError: does not lower"}


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
            row("jax_triton", 256, median=0.002, floor=0.0005),
            row("jax_triton", 1, median=0.1),
            row("grid_sample", 3, median=4.0),
            row("grid_sample", 1, median=5.0),
        ],
    }
    predicted = [
        {"case": "A", "implementation": "jax_triton", "pass": "forward", "microseconds": 0.75},
        {"case": "A", "implementation": "jax_triton", "pass": "backward", "microseconds": 1.5},
    ]
    header, *lines = bench_table.lines(result, predicted)
    ratio = header.index("times faster than grid_sample")
    assert [line[ratio] for line in lines] == ["2,000", "50.0", "1.00", "1.00"]
    assert lines[0][header.index("us a frame, forward")] == "2.00"
    assert lines[0][header.index("frames a second, forward")] == "500,000"
    assert [line[header.index("% of the roofline")] for line in lines] == ["25%", "", "", ""]
    goal = header.index("goal, us, forward")
    assert [line[goal : goal + 4] for line in lines] == [
        ["1.00", "3.00", "0.750", "2.25"],
        ["30.0", "80.0", "", ""],
        [""] * 4,
        [""] * 4,
    ]
    assert not [name for name in bench_table.lines(result)[0] if "predicted" in name]
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
    slower = roofline.floors(shapes.WORKLOADS[case], "NVIDIA H100 80GB HBM3")
    for part in bench_table.PASSES:  # the same but for its memory
        assert floors[part] <= slower[part] < 1.5 * floors[part]
    assert 0.6 * forward < floors["forward"] < 1.05 * forward
    assert 0.6 * backward < floors["forward+backward"] - floors["forward"] < 1.05 * backward
    assert roofline.floors(shapes.WORKLOADS[case], "cpu") == {}
