"""Prediction on new data: arrays, files, remarks, refusals."""

import dataclasses
import sys

import jax
import numpy as np
import pytest
from small_runs import moving_blobs

from pdr_datasets import Units
from pdr_jax.evaluation.kinds import prepare_outputs
from pdr_jax.evaluation.prediction import (
    predict_array,
    predict_file,
    read_frames,
    remarks,
)

CLIPS = moving_blobs(5, 3)


@pytest.fixture(scope="module")
def predict(finished):
    _, task, state = finished
    return lambda frames, **options: predict_array(task, state.variables(), frames, **options)


@pytest.fixture(scope="module")
def future(predict):
    return predict(CLIPS, horizon=3, batch_size=2)


def test_predictions_have_the_shape_and_type_of_the_input(predict, future):
    assert future.shape == (5, 3, 8, 8, 1)
    assert future.dtype == np.uint8
    one = predict(CLIPS[2], horizon=3)
    assert one.shape == future[2].shape
    # Another batch size sums in another order, so rounding may give the next grey level.
    assert np.abs(one.astype(int) - future[2]).max() <= 1
    assert np.mean(one != future[2]) < 0.05
    assert predict(CLIPS[:0]).shape == (0, 2, 8, 8, 1)


def test_floats_are_not_rounded_and_only_the_last_frames_count(predict, future):
    exact = predict(CLIPS[:, 1:].astype(np.float32), horizon=3, batch_size=2)
    assert np.abs(exact - future)[(exact > 0) & (exact < 255)].max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (CLIPS[..., 0], "frames has shape"),
        (CLIPS[:, :1], "2 or more"),
        (np.full((1, 2, 8, 8, 1), np.nan), "frames: clip 0 has values that are not finite"),
        (CLIPS.astype(np.int8), "frames has dtype int8, which ends at -128 and 127"),
    ],
)
def test_frames_that_do_not_fit_are_refused(predict, frames, message):
    with pytest.raises(ValueError, match=message):
        predict(frames)


@pytest.mark.parametrize("name", ["horizon", "batch_size"])
def test_less_than_one_is_refused(predict, name):
    with pytest.raises(ValueError, match=f"{name}=0: expected 1 or more"):
        predict(CLIPS, **{name: 0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 2}, r"samples=2: expected none; .* \+ predgs draws no futures"),
        ({"seed": 0}, r"seed=0: expected none; .* draws no futures"),
        ({"samples": 0}, "samples=0: expected 1 to 10000"),
        ({"samples": 2, "seed": -1}, "seed=-1: expected 0 to"),
    ],
)
def test_futures_that_cannot_be_drawn_are_refused(predict, options, message):
    with pytest.raises(ValueError, match=message):
        predict(CLIPS, **options)


def test_predictions_are_written_but_never_over_their_source(tmp_path):
    np.save(tmp_path / "clips.npy", CLIPS)
    np.testing.assert_array_equal(read_frames(tmp_path / "clips.npy"), CLIPS)
    with pytest.raises(ValueError, match="would replace the frames"):
        prepare_outputs(tmp_path / "clips.npy", tmp_path / "new/../clips.npy")
    prepare_outputs(tmp_path / "clips.npy", tmp_path / "new/future.npy")
    assert (tmp_path / "new").is_dir()


def test_a_file_of_predictions_is_streamed(finished, future, tmp_path):
    _, task, state = finished
    np.save(tmp_path / "clips.npy", CLIPS)
    frames, target = read_frames(tmp_path / "clips.npy"), tmp_path / "future.npy"
    assert isinstance(frames, np.memmap)
    written = predict_file(task, state.variables(), frames, target, horizon=3, batch_size=2)
    np.testing.assert_array_equal(written, future)
    np.testing.assert_array_equal(np.load(target), future)
    bad = CLIPS.astype(np.float32)
    bad[4] = np.inf
    with pytest.raises(ValueError, match="clip 4 has values that are not finite"):
        predict_file(task, state.variables(), bad, tmp_path / "bad.npy", batch_size=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips.npy", "future.npy"]


def test_predictions_that_are_not_finite_are_refused(finished):
    _, task, state = finished
    broken = jax.tree.map(lambda leaf: leaf * np.nan, state.variables())
    with pytest.raises(ValueError, match="prediction: clip 0 has values that are not finite"):
        predict_array(task, broken, CLIPS, horizon=3, batch_size=2)


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", CLIPS)
    content = (tmp_path / "x.npy").read_bytes().replace(b"(5, 3,", b"(9, 9,")
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"x.npy cannot be read as .npy: its header claims"):
        read_frames(tmp_path / "x.npy")


def test_a_gif_that_cannot_be_drawn_is_refused_before_any_work(tmp_path, monkeypatch):
    np.save(tmp_path / "clips.npy", CLIPS)
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    with pytest.raises(ImportError, match="pictures need imageio"):
        prepare_outputs(tmp_path / "clips.npy", tmp_path / "x.npy", tmp_path / "x.gif")


def test_remarks_name_units_and_used_frames(finished):
    _, task, _ = finished
    frames = np.full((5, 8, 8, 1), 0.5)
    units, warning, used = remarks(task, frames)
    assert units == "frames are taken to be in stored units, 0..255"
    assert "multiply it by 255" in warning
    assert used == "of 5 frames a clip, the last 2 are used"
    assert remarks(task, frames[:2] * 255) == [units]
    assert remarks(task, (frames[:2] * 2).astype(np.uint8)) == [units]
    celsius = dataclasses.replace(task.dataset, units=Units(250.0, 50.0))
    assert "outside of this run's frames" in remarks(task._replace(dataset=celsius), frames)[1]
    in_unit_range = dataclasses.replace(task.dataset, units=Units(0.0, 1.0))
    assert remarks(task._replace(dataset=in_unit_range), frames[:2]) == [
        "frames are taken to be in stored units, 0..1"
    ]
