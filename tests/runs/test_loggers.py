"""TensorBoard and Weights & Biases: what is logged, runs that are resumed, what goes wrong."""

import dataclasses
import functools
import io
import json
import signal
import sys
import warnings

import numpy as np
import pytest
from log_files import curve, events, wandb_records
from PIL import Image

from pdr_jax import recipes
from pdr_jax.runs import log, loggers, preview
from pdr_jax.runs.log import RunLog

CLIP = np.linspace(0, 1, 4 * 8 * 6, dtype=np.float32).reshape(4, 8, 6, 1)
DRAW = functools.partial(preview.draw, CLIP, CLIP[2:], (0.0, 1.0))
VALUE = {1: 0.5, 2: 0.25, 3: 0.125, 4: 0.0625}


@pytest.fixture
def offline(monkeypatch):
    """wandb without network, and a function that reads what it has written in a run folder."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")

    def read(run):
        wandb.teardown()  # only then its files are whole
        return [wandb_records(path) for path in sorted(run.glob("wandb/offline-run-*/*.wandb"))]

    yield read
    wandb.teardown()


def interrupt():
    raise KeyboardInterrupt


def write(run, *names, after, steps, remark=warnings.warn, draw=DRAW):
    """Logs steps, and a clip at the last, as a run that goes on from the step `after`."""
    recipe = dataclasses.replace(recipes.create("kth"), log=names)
    with RunLog(run, remark) as opened:
        opened.rewind(after)
        opened.open_loggers(recipe, after)
        for step in steps:
            opened.write({"step": step, "loss": VALUE[step]})
            opened.show(step, draw)
        return opened.places


def logged_steps(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_events_of_a_resumed_run_take_the_place_of_those_that_are_repeated(tmp_path):
    assert write(tmp_path, "tensorboard", after=0, steps=(1, 2, 3)) == [
        f"tensorboard: {tmp_path / 'tensorboard'}"
    ]
    write(tmp_path, "tensorboard", after=2, steps=(3, 4))
    found = events(tmp_path)
    points = [(step, VALUE[step]) for step in (1, 2, 3, 3, 4)]
    assert curve(found, "loss") == points
    # TensorBoard drops what was logged before such a mark for its step or later ones.
    marks = [event.step for event in found if event.HasField("session_log")]
    assert marks == [1, 3]
    assert logged_steps(tmp_path) == [1, 2, 3, 4]


def test_events_have_the_settings_and_pictures(tmp_path):
    write(tmp_path, "tensorboard", after=0, steps=(1,))
    values = {v.tag: v for event in events(tmp_path) for v in event.summary.value}
    settings = values["_hparams_/session_start_info"].metadata.plugin_data.content
    for text in (b"learning_rate", b"predgs.heads", b"kth"):
        assert text in settings
    assert values["clip/animated"].image.encoded_image_string.startswith(b"GIF89a")
    assert values["clip/truth_above_prediction"].image.width == 4 * 7 * 16


def test_a_clip_is_drawn_above_its_prediction():
    strip, animated = DRAW()
    pixels = np.asarray(Image.open(io.BytesIO(strip.encoded)))[8::16, 8::16]
    cells = pixels.reshape(17, 4, 7, 3).swapaxes(0, 1)[:, :, :6]  # beside and below: white lines
    above, below = cells[:, :8], cells[:, 9:]
    np.testing.assert_allclose(above, np.rint(255 * CLIP.repeat(3, -1)), atol=2)
    np.testing.assert_array_equal(above[2:], below[2:])
    assert (below[:2] == 235).all()  # nothing is predicted of observed frames
    assert Image.open(io.BytesIO(animated.encoded)).n_frames == 4
    assert (animated.height, animated.width) == (17 * 16, 7 * 16)


def test_a_resumed_run_is_the_same_run_in_weights_and_biases(offline, tmp_path, capfd):
    before = (sys.stdout, signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    run = tmp_path / "kth-tau"
    run.mkdir()
    write(run, "wandb", after=0, steps=(1, 2, 3))
    assert write(run, "wandb", after=2, steps=(3, 4)) == [f"wandb: {run / 'wandb'}"]
    assert capfd.readouterr() == ("", "")
    after = (sys.stdout, signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert after == before
    first, second = offline(run)
    name = (run / "wandb_id.txt").read_text()
    for records in (first, second):
        (begun,) = (record.run for record in records if record.HasField("run"))
        assert (begun.run_id, begun.project, begun.display_name) == (name, "pdr-jax", "kth-tau")
        config = {item.key: json.loads(item.value_json) for item in begun.config.update}
        assert config["dataset"] == "kth"
        assert config["predgs"]["heads"] == "tracked"
        axes = {r.metric.glob_name: r.metric.step_metric for r in records if r.HasField("metric")}
        assert axes["*"] == "step"
        assert records[-1].exit.exit_code == 0
    rows = [
        {tuple(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for record in (*first, *second)
        if record.HasField("history")
    ]
    curve = [(int(row[("step",)]), float(row[("loss",)])) for row in rows if ("loss",) in row]
    assert curve == [(step, VALUE[step]) for step in (1, 2, 3, 3, 4)]
    media = [path.suffix for path in (run / "wandb").glob("offline-run-*/files/media/**/clip/*")]
    assert (media.count(".gif"), media.count(".png")) == (5, 5)


def test_a_training_that_fails_ends_its_run_in_weights_and_biases(offline, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "wandb", after=0, steps=(1,), draw=interrupt)
    (records,) = offline(tmp_path)
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [1]


def test_no_key_for_weights_and_biases_is_told_before_the_training(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(ValueError, match=r"log=wandb: .*wandb login.*WANDB_MODE=offline"):
        write(tmp_path, "wandb", after=0, steps=(1,))


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("tensorboard", "tensorboardX", "report"), ("wandb",) * 3]
)
def test_a_package_that_is_missing_is_named(name, package, extra, monkeypatch):
    monkeypatch.delitem(sys.modules, f"pdr_jax.runs.loggers.{name}", raising=False)
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"log={name}: {package} is not installed: pip install 'pdr-jax\[{extra}\]'"
    with pytest.raises(ImportError, match=message):
        loggers.check((name,))


def test_the_first_process_logs(tmp_path, monkeypatch):
    monkeypatch.setattr(log.processes, "first", lambda: False)
    assert write(tmp_path, "tensorboard", after=0, steps=(1,)) == []
    assert list(tmp_path.iterdir()) == []


class Full:
    """A logger whose disk is full from step 2 on."""

    place = "nowhere"

    def __init__(self):
        self.came = []

    def scalars(self, step, figures):
        self.came.append(step)
        if step == 2:
            raise OSError("no space left")

    def pictures(self, step, pictures):
        self.came.append([picture.name for picture in pictures])

    def close(self, *, failed):
        self.came.append("closed")


def test_a_logger_that_fails_is_dropped_and_the_log_goes_on(tmp_path, monkeypatch):
    full, said = Full(), []
    monkeypatch.setattr(log, "open_logger", lambda *_: full)
    write(tmp_path, "tensorboard", after=0, steps=(1, 2, 3), remark=said.append)
    assert full.came == [1, ["clip/truth_above_prediction", "clip/animated"], 2]
    assert said == ["no more log for tensorboard: no space left"]
    assert logged_steps(tmp_path) == [1, 2, 3]


def test_a_logger_that_cannot_be_opened_is_left_out(tmp_path):
    (tmp_path / "tensorboard").write_text("in the way")
    said = []
    write(tmp_path, "tensorboard", after=0, steps=(1,), remark=said.append)
    assert len(said) == 1
    assert said[0].startswith("no log for tensorboard: ")
    assert logged_steps(tmp_path) == [1]


def test_without_imageio_figures_are_logged_and_pictures_are_not(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    said = []
    write(tmp_path, "tensorboard", after=0, steps=(1, 2), remark=said.append)
    assert said == [
        "no pictures in the log: pictures need imageio, which is not installed: "
        "pip install 'pdr-jax[report]'"
    ]
    assert curve(events(tmp_path), "loss") == [(1, 0.5), (2, 0.25)]


def test_the_names_of_loggers_are_checked_and_kept():
    recipe = dataclasses.replace(recipes.create("kth"), log=("wandb", "tensorboard"))
    assert recipes.Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    with pytest.raises(ValueError, match=r"log\[0\]='wandv': expected one of tensorboard, wandb"):
        dataclasses.replace(recipe, log=("wandv",))
    with pytest.raises(TypeError, match="log='wandb'"):
        dataclasses.replace(recipe, log="wandb")
