"""The page for the browser: what is in it, that it loads nothing, and what its scripts compute."""

import base64
import html.parser
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from pdr_jax.report import html as page_module
from pdr_jax.report.ellipses import ellipses
from pdr_jax.report.html import Clip, Content, Frames, Run, page, save_page
from pdr_jax.report.html.charts import Line, line_chart
from pdr_jax.report.html.findings import findings
from pdr_jax.report.html.packing import frame_codes, number_codes, pack

SOURCES = Path(page_module.__file__).parent
HOSTILE = '</script><script>alert("&")</script>'


def clip(title, count=3, labels=("plain", "pdr"), seed=0, size=8):
    rng = np.random.default_rng(seed)
    shape = (count, size, size, 1)

    def frames(with_gaussians):
        made = {"prediction": rng.random(shape), "errors": rng.random(count)}
        if with_gaussians:
            start = np.array([[1.0, 2.0], [5.0, 4.0]])
            mean = start + np.arange(count)[:, None, None] * [1.0, 0.5]
            parts = (mean, np.full((count, 2, 2), 1.5), np.full((count, 2), 0.3))
            made["gaussians"] = (*parts, np.tile([[0.5], [-0.2]], (count, 1, 1)))
            made |= {"coarse": rng.random(shape), "rendered": 3 * rng.random(shape)}
            made["tracked"] = True
        return Frames(**made)

    runs = {label: frames(label == "pdr") for label in labels}
    return Clip(title, rng.random((2, size, size, 1)), rng.random(shape), runs)


def content(labels=("plain", "pdr"), **fields):
    figures = {"mse": 2.0, "sharpness": 0.5}
    runs = {
        label: Run(
            recipe={"seed": index, "predgs": {"heads": "conv"}, "init_from": HOSTILE},
            curves={"loss": (np.arange(1.0, 4.0), np.array([3.0, np.nan, 1.0]))},
            figures={**figures, "mse": 2.0 + index},
            controls={"persistence": {"mse": 4.0, "sharpness": 1.0}},
            per_frame={"mse": np.array([1.0, 2.0, 3.0])},
            persistence={"mse": np.array([2.0, 4.0, 6.0])},
            errors=np.array([1.0, 3.0]),
        )
        for index, label in enumerate(labels)
    }
    fields = {"clips": [clip("worst", labels=labels), clip("best", labels=labels)], **fields}
    return Content("Runs", "on <clips>", (0.0, 1.0), runs, **fields)


class Elements(html.parser.HTMLParser):
    """Every element's attributes by tag, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self._open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data):
        if self._open == "script" and data.strip():
            self.scripts.append(data)
        self._open = None


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "new" / "report.html"
    assert save_page(path, content(published={"SimVP (published)": {"mse": 1.0}})) == 2
    return path


@pytest.fixture(scope="module")
def elements(made):
    return Elements(made.read_text("utf-8"))


def test_nothing_is_loaded(elements, made):
    assert "://" not in made.read_text("utf-8")
    for tag, attributes in elements.found:
        assert "src" not in attributes, tag
        assert attributes.get("href", "#").startswith("#")
    policies = [a for t, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0]["content"].startswith("default-src 'none'")


def test_pictures_and_controls_have_names(elements):
    labelled = {attributes.get("for") for tag, attributes in elements.found if tag == "label"}
    pictures = [a for t, a in elements.found if t == "svg" and a.get("role") == "img"]
    assert len(pictures) == 3  # the loss, mse over the horizon, and mse of every clip
    assert all(a["aria-label"] for a in pictures)
    sliders = [a for t, a in elements.found if t == "input" and a["type"] == "range"]
    assert {a["id"] for a in sliders} == {"time", "wipe"} <= labelled
    # Links and labels lead somewhere.
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in elements.found if t == "a"} <= set(ids)


def test_text_of_runs_stays_text(tmp_path):
    path = tmp_path / "report.html"
    for labels in (("plain", "pdr"), (HOSTILE, "pdr")):
        save_page(path, content(labels))
        scripts = Elements(path.read_text("utf-8")).scripts
        assert len(scripts) == 2
        data = json.loads(scripts[0])
        assert data["runs"] == list(labels)
        assert "alert" not in scripts[1]
    assert "on &lt;clips&gt;" in path.read_text("utf-8")


def test_what_the_scripts_get(elements):
    data = json.loads(elements.scripts[0])
    assert (data["inputs"], data["horizon"], data["size"]) == (2, 3, [8, 8])
    first = data["clips"][0]
    assert first["arrays"].keys() == {
        *("inputs", "truth", "0/prediction", "1/prediction", "1/coarse", "1/rendered"),
        *("1/mean", "1/scale", "1/rotation", "1/strength"),
    }
    assert first["tracks"] == {"pdr": [0, 1]}
    # Frames share the data range, but for a layer that goes far beyond.
    assert [first["arrays"][f"1/{n}"]["high"] for n in ("prediction", "coarse")] == [1, 1]
    assert first["arrays"]["1/rendered"]["high"] > 2.5


def test_settings_that_differ_come_first(made, tmp_path):
    text = made.read_text("utf-8")
    differing, everything = text.split("<details>")[:2]
    assert "seed" in differing
    assert "predgs.heads" not in differing
    assert "predgs.heads" in everything
    one = content(("plain",))
    run = one.runs["plain"]
    runs = {"plain": Run(run.recipe, {**run.recipe, "seed": 7})}
    save_page(tmp_path / "one.html", Content("a", "b", (0.0, 1.0), runs, one.clips))
    before = (tmp_path / "one.html").read_text("utf-8").split("<details>")[0]
    assert '<th scope="row">seed</th><td>7</td><td>0</td>' in before
    assert "there are no test clips" in (tmp_path / "one.html").read_text("utf-8").lower()


def test_the_best_of_a_column_is_bold(made):
    text = made.read_text("utf-8")
    assert '<tr class="published"><th scope="row">SimVP (published)</th><td><strong>1.000' in text
    assert '<tr class="control"><th scope="row">persistence</th><td>4.000' in text


def test_the_same_content_gives_the_same_bytes(made, tmp_path):
    for name in ("a.html", "b.html"):
        save_page(tmp_path / name, content())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_clips_that_do_not_fit_are_left_out(tmp_path, monkeypatch):
    many = content(clips=[clip(str(i), size=64, seed=i) for i in range(5)])
    path = tmp_path / "report.html"
    save_page(path, many)
    whole = path.stat().st_size
    monkeypatch.setattr(page, "LIMIT", int(0.7 * whole))
    assert save_page(path, many) == 3
    assert path.stat().st_size < page.LIMIT
    titles = [c["title"] for c in json.loads(Elements(path.read_text("utf-8")).scripts[0])["clips"]]
    assert titles == ["0", "2", "4"]
    before = path.read_bytes()
    monkeypatch.setattr(page, "LIMIT", 10_000)
    with pytest.raises(ValueError, match=r"path='.*': the page would take .* MB with one clip"):
        save_page(path, many)
    assert path.read_bytes() == before


def test_large_frames_are_averaged(tmp_path):
    save_page(tmp_path / "r.html", content(clips=[clip("a", size=300)]))
    data = json.loads(Elements((tmp_path / "r.html").read_text("utf-8")).scripts[0])
    assert "mean of 2 x 2" in (tmp_path / "r.html").read_text("utf-8")
    assert (data["size"], data["shrink"]) == ([300, 300], 2)
    assert data["clips"][0]["arrays"]["truth"]["shape"] == [3, 150, 150, 1]


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
    script = f"{(SOURCES / 'maths.js').read_text()};(async () => JSON.stringify({expression}))()"
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


def test_in_a_browser(made):
    """It opens without an error, the slider moves, the wipe wipes, and keys do what they say."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    names = ("chromium", "chromium-headless-shell", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("needs Chromium")
    errors = []
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = opened.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(message.text))
        tab.goto(made.as_uri())
        tab.wait_for_selector("#layers canvas")

        def seen(action, *arguments):
            """Whether an action changed the stage."""
            before = tab.evaluate("stage.toDataURL()")
            action(*arguments)
            return tab.evaluate("stage.toDataURL()") != before

        assert seen(tab.press, "#time", "ArrowRight")
        assert tab.inner_text("#time-shown") == "+2"
        assert seen(tab.press, "#wipe", "ArrowLeft")
        assert seen(tab.press, "#stage", "ArrowLeft")
        assert tab.inner_text("#time-shown") == "+1"
        assert seen(tab.press, "#stage", "+")
        assert seen(tab.press, "#stage", "0")
        assert seen(tab.select_option, "#gaussians", "1")
        assert seen(tab.select_option, "#left", "1/error")
        assert tab.locator("#layers canvas").count() == 7
        tab.check("#clips label:nth-of-type(2) input")
        tab.wait_for_function("stage.ariaLabel.startsWith('best')")
        opened.close()
    assert errors == []
