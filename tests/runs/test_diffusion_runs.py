"""A run whose diffusion learns behind the frozen backbone of another run."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.export
import numpy as np
import pytest
from PIL import Image
from small_runs import moving_blobs

from pdr_jax.commands import main
from pdr_jax.diffusion import DiffusionConfig
from pdr_jax.evaluation.draws import drawer
from pdr_jax.runs.fit import fit
from pdr_jax.runs.pretrained import from_pretrained
from pdr_jax.runs.state import load
from pdr_jax.runs.warm_start import read_origin
from pdr_jax.task import open_task

pytestmark = pytest.mark.rest


@pytest.fixture(scope="module")
def frozen(finished, small_recipe, small_dataset, tmp_path_factory):
    """The folder, the task and the last state of a run that starts from `finished`."""
    config = DiffusionConfig(widths=(8,), steps=2, freeze=True)
    fields = {"adapter": "diffusion", "diffusion": config, "init_from": str(finished[0])}
    task = open_task(dataclasses.replace(small_recipe, **fields), small_dataset)
    folder = tmp_path_factory.mktemp("runs") / "frozen"
    return folder, task, fit(task, folder)


def assert_same(ours, theirs):
    for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_predictor_is_the_other_runs(frozen, finished):
    _, _, state = frozen
    origin = read_origin(finished[0]).variables
    for variables in (vars(state), state.variables()):
        for name in ("params", "batch_stats"):
            assert_same(variables[name]["backbone"], origin[name]["backbone"])


def test_the_best_checkpoint_denoises_best(frozen):
    folder, *_ = frozen
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    saved = {line["step"]: line for line in lines if "holdout_mse" in line}
    assert saved[2]["holdout_mse"] == saved[4]["holdout_mse"]
    best = min(saved, key=lambda step: saved[step]["holdout_denoising"])
    assert read_origin(folder).step == best


def test_a_resumed_run_repeats_the_steps(frozen):
    folder, task, state = frozen
    assert_same(fit(task, folder, resume=True, checkpoint=2, remark=str), state)


def test_its_futures_differ_and_repeat(frozen, small_dataset):
    folder, _, state = frozen
    task, restored = load(folder, dataset=small_dataset, which="last")
    assert_same(restored, state)
    frames = np.stack([small_dataset.splits["train"][index]["frames"] for index in (0, 1)])
    observed, _ = task.clip.split(frames)
    draw = drawer(task.model, restored.variables(), samples=2, seed=0)
    one = np.asarray(draw(observed, np.array([0, 1], np.uint32), 2))
    other = np.asarray(draw(observed[::-1], np.array([1, 0], np.uint32), 2))
    assert one.shape == (2, 2, 2, 8, 8, 1)
    np.testing.assert_allclose(other[:, ::-1], one, rtol=1e-4, atol=1e-4)
    assert np.abs(one[0] - one[1]).mean() > 1e-3


def test_predictions_take_a_seed(frozen, finished, tmp_path):
    trained = from_pretrained(frozen[0])
    trained.save_pretrained(tmp_path / "exported", platforms=())
    exported = from_pretrained(tmp_path / "exported")
    assert exported.task.model == trained.task.model
    clips = moving_blobs(3, length=2)
    one, again, other = (exported.predict(clips, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 1
    point = from_pretrained(finished[0])
    for model, seed, message in ((point, 1, "draws no futures"), (exported, -1, "expected 0 to")):
        with pytest.raises(ValueError, match=f"seed={seed}: .*{message}"):
            model.predict(clips, seed=seed)


def test_the_exported_program_gives_the_prediction(frozen, tmp_path):
    trained = from_pretrained(frozen[0])
    trained.save_pretrained(tmp_path / "exported", platforms=("cpu",))
    stored = (tmp_path / "exported/predictor.stablehlo").read_bytes()
    clips = moving_blobs(3, length=2).astype(np.float32)
    future = jax.export.deserialize(bytearray(stored)).call(clips)
    expected = np.asarray(trained.predict(clips), np.float32)
    assert np.abs(np.asarray(future, np.float32) - expected).max() <= 1  # of 255: both are rounded


def test_futures_of_a_video_have_a_folder_each(frozen, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("seen").mkdir()
    for number, frame in enumerate(moving_blobs(1, 3)[0]):
        Image.fromarray(frame[..., 0]).save(f"seen/{number}.png")
    main(["predict", str(frozen[0]), "seen", "next", "--samples", "2", "--gif", "next.gif"])
    assert "next-0, next-1: uint8 (2, 2, 8, 8, 1)" in capsys.readouterr().out
    main(["predict", str(frozen[0]), "seen", "one", "--seed", "0"])
    for number in (3, 4):
        names = [Path(folder, f"{number:06d}.png") for folder in ("next-0", "next-1", "one")]
        first, second, alone = (name.read_bytes() for name in names)
        assert first == alone
        assert first != second
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("next-0", "next-1", "next.gif", "one", "seen")
    ]


def test_another_predictor_is_refused(frozen, small_dataset, tmp_path):
    recipe = dataclasses.replace(frozen[1].recipe, adapter="tracked+diffusion")
    wider = dataclasses.replace(recipe.predgs, head_std=0.5)
    for changes, field in (({"predgs": wider}, "predgs"), ({"fusion": "add"}, "fusion")):
        task = open_task(dataclasses.replace(recipe, **changes), small_dataset)
        with pytest.raises(ValueError, match=rf"diffusion.freeze=True: .* another {field} would"):
            fit(task, tmp_path / field)
        assert not (tmp_path / field / "checkpoints").exists()
