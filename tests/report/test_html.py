"""The page for the browser: what is in it, that it loads nothing, and that it works."""

import html.parser
import json
import shutil

import numpy as np
import pytest

from pdr_jax.report.html import Clip, Content, Frames, Run, TooLargeError, page, save_page

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
    with pytest.raises(TooLargeError, match=r"path='.*': the page would take .* MB with one clip"):
        save_page(path, many)
    assert path.read_bytes() == before


def test_large_frames_are_averaged(tmp_path):
    save_page(tmp_path / "r.html", content(clips=[clip("a", size=300)]))
    data = json.loads(Elements((tmp_path / "r.html").read_text("utf-8")).scripts[0])
    assert "mean of 2 x 2" in (tmp_path / "r.html").read_text("utf-8")
    assert (data["size"], data["shrink"]) == ([300, 300], 2)
    assert data["clips"][0]["arrays"]["truth"]["shape"] == [3, 150, 150, 1]


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
        assert tab.locator(".layer").all_inner_texts()[:2] == ["truth", "prediction"]
        assert seen(tab.press, "#stage", "ArrowLeft")
        shown = tab.locator(".layer").all_inner_texts()
        assert {*shown} == {"observed", "error (0 … 0.25)"}
        assert "Left of the wipe: observed; right: observed." in tab.get_attribute(
            "#stage", "aria-label"
        )
        assert seen(tab.press, "#stage", "ArrowRight")
        assert seen(tab.press, "#stage", "+")
        assert seen(tab.press, "#stage", "0")
        assert seen(tab.select_option, "#gaussians", "1")
        assert seen(tab.select_option, "#left", "1/error")
        assert tab.locator("#layers canvas").count() == 7
        tab.check("#clips label:nth-of-type(2) input")
        tab.wait_for_selector("#stage[aria-label^='best']")
        opened.close()
    assert errors == []
