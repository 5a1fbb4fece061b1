"""The parts of a page: arrays as text, what its scripts compute, findings in words, charts."""

import base64
import json
import re
import shutil
import subprocess
import zlib
from importlib import resources

import numpy as np
import pytest

from pdr_jax.report.ellipses import ellipses
from pdr_jax.report.html import Run
from pdr_jax.report.html.charts import Line, line_chart
from pdr_jax.report.html.findings import findings
from pdr_jax.report.html.packing import frame_codes, number_codes, pack

MATHS = resources.files("pdr_jax.report.html").joinpath("maths.js").read_text("utf-8")

ARRAYS = {
    "frames": frame_codes(np.random.default_rng(0).random((2, 3, 4, 3)), 0.0, 1.0),
    "odd": frame_codes(np.array([0.0, 0.5, 2.0, np.nan, 1.0]).reshape(1, 1, 5, 1), 0.0, 1.0),
    "numbers": number_codes(np.random.default_rng(1).normal(size=(3, 4, 2))),
}


def test_codes():
    np.testing.assert_array_equal(ARRAYS["odd"].codes.ravel(), [0, 128, 255, 0, 255])
    numbers = ARRAYS["numbers"]
    back = numbers.low + (numbers.high - numbers.low) * numbers.codes / 65535
    step = (numbers.high - numbers.low) / 65535
    expected = np.random.default_rng(1).normal(size=(3, 4, 2))
    np.testing.assert_allclose(back, expected, atol=step)
    packed = pack(ARRAYS)
    raw = zlib.decompress(base64.b64decode(packed["data"]))
    first = packed["arrays"]["frames"]
    differences = np.frombuffer(raw, np.uint8, 24 * 3, first["offset"]).reshape(-1, 3)
    decoded = np.cumsum(differences, 0, dtype=np.uint8)
    np.testing.assert_array_equal(decoded.ravel(), ARRAYS["frames"].codes.ravel())


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node to run JavaScript")


def evaluate(expression):
    """The value of a JavaScript expression after maths.js; it may be awaited."""
    script = f"{MATHS};(async () => JSON.stringify({expression}))()"
    program = f"{script}.then(console.log)"
    run = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@needs_node
def test_scripts_read_what_was_packed():
    names = list(ARRAYS)
    found = evaluate(
        f"await unpack({json.dumps(pack(ARRAYS))}).then("
        f"(a) => {json.dumps(names)}.map((name) => [...a[name].codes]))"
    )
    for name, codes in zip(names, found, strict=True):
        assert codes == ARRAYS[name].codes.ravel().tolist()


@needs_node
def test_sums_of_the_scripts():
    view = "{scale: 3, x: 1, y: 2}"
    found = evaluate(
        "{times: [-1, 0, 1].map((t) => [frameAt(t, 2).observed, frameAt(t, 2).index]),"
        " texts: [-1, 0, 1].map(timeText), columns: [-5, 25, 130].map((p) => wipeColumn(p, 200)),"
        " whole: wholeView(8, 4, 16, 16),"
        f" zoomed: zoomed({view}, 2, 30, 60, 1), out: zoomed({view}, 0.01, 0, 0, 1).scale,"
        f" ellipse: ellipseOnScreen({view}, 4, 5, 2, 1, 0.4),"
        " error: [...errorCodes([10, 20, 30, 0, 0, 0], [12, 20, 26, 90, 90, 90], 3)],"
        " middle: ramp(['#000000', '#ffffff'])[128], colours: [...rgba([7], 1, ramp(['#000000',"
        " '#ffffff']))]}"
    )
    assert found["times"] == [[True, 0], [True, 1], [False, 0]]
    assert found["texts"] == ["\u22121", "0", "+1"]
    assert found["columns"] == [0, 50, 200]
    assert found["whole"] == {"scale": 2, "x": 0, "y": -2}
    # The point below the mouse, (1 + 30 / 3, 2 + 60 / 3), stays there.
    assert found["zoomed"] == {"scale": 6, "x": 11 - 30 / 6, "y": 22 - 60 / 6}
    assert found["out"] == 1
    x, y, across, down, angle = found["ellipse"]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    theta = np.linspace(0, 2 * np.pi, 49)
    drawn = np.stack([across * np.cos(theta), down * np.sin(theta)], -1) @ turn.T + [x, y]
    outline = ellipses(np.array([[4.0, 5.0]]), np.array([[2.0, 1.0]]), np.array([0.4]))[0]
    np.testing.assert_allclose(drawn, 3 * (outline + 0.5 - [1, 2]), atol=1e-9)
    assert found["error"] == [8, 255]
    assert found["middle"] == [128] * 3
    assert found["colours"] == [7, 7, 7, 255]


def measured(controls, **statistics):
    rows = {name: {"mse": value} for name, value in controls.items()}
    return Run({}, figures={"mse": 1.0}, controls=rows, statistics=statistics)


@pytest.mark.parametrize(
    ("run", "level", "words"),
    [
        (measured({"persistence": 4.0}), "good", "mse is 75% lower"),
        (measured({"persistence": 1.0}), "bad", "no better than repeating the last frame"),
        (measured({"shuffled Y": 1.001}), "bad", "The renderer is not used"),
        (measured({"shuffled Y": 2.0, "mean Y": 1.0}), "bad", "one static picture"),
        (measured({"shuffled Y": 1.5, "mean Y": 1.2}), "good", "is used: .* rises by 50%"),
        (measured({"shuffled Y": 0.5}), "warning", "does harm: .* falls by 50%"),
        (measured({"coarse": 0.9}), "note", "have mse 10% lower"),
        (measured({}, position_std=0.01), "warning", "hardly move: 0.01 px"),
        (measured({}, outside=0.5), "warning", "50% of the Gaussians are centred outside"),
        (Run({}, figures={"sharpness": 0.9}), "good", "about as sharp as the truth"),
        (Run({}, figures={"sharpness": 0.5}), "warning", "blurred: edges are 50% as strong"),
        (
            Run({}, curves={"val_mse": (np.arange(3.0), np.array([3.0, 2.0, 1.0]))}),
            "note",
            "val_mse was lowest at the end",
        ),
    ],
)
def test_findings(run, level, words):
    (found,) = findings(run, "mse")
    assert found.level == level
    assert re.search(words, found.text)


def test_sharpness_is_no_praise_where_the_last_frame_is_better():
    controls = {"persistence": {"mse": 1.0}}
    found = findings(Run({}, figures={"mse": 2.0, "sharpness": 0.9}, controls=controls), "mse")
    assert [each.level for each in found] == ["bad", "note"]


@pytest.mark.parametrize(("low", "high"), [(1.0, 9.0), (0.9, 9.3), (1.0, 1.1), (3.0, 70.0)])
def test_axes_can_be_read(low, high):
    chart = line_chart("rmse", [Line("a", np.arange(1.0, 10.0), np.linspace(low, high, 9), 0)], "")
    assert 3 <= chart.count('class="end"') <= 8
    assert 2 <= len(re.findall(r'class="middle">\d', chart)) <= 6


def test_charts():
    line = Line("a<b", np.arange(4.0), np.array([1.0, np.nan, 100.0, 1000.0]), 0)
    chart = line_chart("loss", [line], "step")
    assert "a&lt;b: from 1 to 1000" in chart
    assert chart.count("M") - chart.count("H") == 2  # two pieces, beside the grid's lines
    for power in ("1", "10", "100", "1000"):
        assert f">{power}</text>" in chart
    assert line_chart("loss", [Line("a", np.arange(1.0), np.array([np.nan]), 0)], "step") == ""
    single = line_chart("loss", [Line("a", np.array([5.0]), np.array([2.0]), None)], "step")
    assert "<circle" in single
    assert "nan" not in single
