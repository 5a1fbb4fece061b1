"""Whole runs, small: training, resuming, evaluating, predicting, and the command line."""

import dataclasses
import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from small_runs import SMALL, moving_blobs

import pdr_datasets
from pdr_jax import cli, recipes, results, run
from pdr_jax import evaluate as evaluation
from pdr_jax.checkpoint import Checkpoints
from pdr_jax.log import RunLog
from pdr_jax.metrics import Evaluator
from pdr_jax.predict import predict_array, prepare_outputs, read_frames, write_frames

@pytest.fixture(scope="module")
def dataset():
    return pdr_datasets.load("arrays", array=moving_blobs(), in_length=2, out_length=2)


@pytest.fixture(scope="module")
def recipe():
    made = recipes.create("arrays", **SMALL)
    small = dataclasses.replace(made.predgs, num_gaussians=16, window=7, pool=4, hidden=8)
    return dataclasses.replace(made, predgs=small)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, recipe, dataset):
    """A finished run: its folder, task and last state."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    shown = []
    task, state = run.fit(recipe, folder, dataset=dataset, report=shown.append)
    assert [line["step"] for line in shown if "loss" in line] == [1, 2, 3, 4]
    return folder, task, state


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_what_a_run_leaves(finished, recipe, dataset):
    folder, task, state = finished
    assert run.read_recipe(folder) == recipe
    logged = lines(folder)
    losses = [line for line in logged if "loss" in line]
    assert [line["step"] for line in losses] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) and line["learning_rate"] > 0 for line in losses)
    assert {"grad_norm", "grad_norm/position", "frames_per_second"} <= set(losses[0])
    saved = [line for line in logged if "holdout_mse" in line]
    assert [line["step"] for line in saved] == [2, 4]
    assert {"sigma_p50", "rendered_share", "position_std"} <= set(saved[0])
    assert len(task.train) + len(task.holdout) == 16
    assert len(task.holdout) == 3
    with Checkpoints(folder / "checkpoints") as checkpoints:
        assert checkpoints.last == 4
        best = min(saved, key=lambda line: line["holdout_mse"])["step"]
        assert checkpoints.best == best
    _, _, restored = run.load(folder, dataset=dataset, which="last")
    for ours, theirs in zip(_leaves(state), _leaves(restored), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_resumed_run_repeats_the_uninterrupted_one(finished, recipe, dataset, tmp_path):
    folder, _, state = finished
    # What a run leaves that was cut off before its first checkpoint; the last line half written.
    stopped = tmp_path / "stopped"
    (stopped / "checkpoints").mkdir(parents=True)
    run.write_json(stopped / "recipe.json", recipe.to_json())
    (stopped / "metrics.jsonl").write_text('{"step": 1, "loss": 9.0}\n{"step": 2, "lo')

    def stop(figures):
        if figures["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.fit(recipe, stopped, dataset=dataset, resume=True, report=stop)
    log = stopped / "metrics.jsonl"
    log.write_text(log.read_text() + '{"step": 4, "lo')
    with pytest.raises(FileExistsError, match="--resume"):
        run.fit(recipe, stopped, dataset=dataset)
    _, resumed = run.fit(recipe, stopped, dataset=dataset, resume=True)
    for ours, theirs in zip(_leaves(state), _leaves(resumed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(lines(folder), lines(stopped), strict=True):
        for timing in ("frames_per_second", "seconds_left"):
            ours.pop(timing, None), theirs.pop(timing, None)
        assert ours == theirs


def test_a_run_that_was_begun_is_not_overwritten(recipe, dataset, tmp_path):
    run.write_json(tmp_path / "recipe.json", recipe.to_json() | {"seed": 7})
    with pytest.raises(FileExistsError, match=r"another one \(seed=0, there 7\)"):
        run.fit(recipe, tmp_path, dataset=dataset)
    run.write_json(tmp_path / "recipe.json", recipe.to_json())
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1, "loss": 9.0}\n')
    with pytest.raises(FileExistsError, match="holds a run already; continue it with --resume"):
        run.fit(recipe, tmp_path, dataset=dataset)
    assert log.read_text() == '{"step": 1, "loss": 9.0}\n'
    assert run.read_recipe(tmp_path) == recipe


def test_an_occupied_folder_is_refused_before_data_are_opened(
    recipe, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(run, "open_dataset", lambda _: pytest.fail("data were opened"))
    run.write_json(tmp_path / "recipe.json", recipe.to_json())
    with pytest.raises(SystemExit):
        cli.main(["train", "moving_sprites", "--seed", "3", "--out", str(tmp_path)])
    assert f"{tmp_path} holds a run already, and another one" in capsys.readouterr().err


def test_a_log_is_rewound_whole_or_not_at_all(tmp_path, monkeypatch):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"st')
    before = log.read_text()

    def fail(*_):
        raise OSError("no space left")

    with RunLog(tmp_path) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail)
            with pytest.raises(OSError, match="no space left"):
                opened.rewind(1)
        assert log.read_text() == before
        opened.rewind(1)
    assert log.read_text() == '{"step": 1}\n'
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_bounds_of_the_output_are_noted(dataset, tmp_path, monkeypatch, capsys):
    def note(backbone, data_range):
        recipe = recipes.create("arrays", backbone=backbone, in_length=2, adapter="none")
        other = dataclasses.replace(dataset, data_range=data_range)
        return run.output_note(run.load_task(recipe, other))

    np.save(tmp_path / "clips.npy", np.linspace(-2, 2, 20 * 4 * 64).reshape(20, 4, 8, 8, 1))
    monkeypatch.setattr(run, "fit", lambda *_, **__: None)
    monkeypatch.setattr(cli, "finish", lambda _: None)
    options = "--backbone phydnet --in-length 2 --out-length 2 --batch-size 4".split()
    data = f"--data-options.path {tmp_path}/clips.npy --data-options.scaling zscore".split()
    cli.main(["train", "arrays", *options, *data])
    assert "note: output: PhyDNet predicts values from 0 to 1, and" in capsys.readouterr().out
    said = note("phydnet", (-3.14159, 4.0))
    assert said == "output: PhyDNet predicts values from 0 to 1, and the data go from -3.14 to 4"
    assert note("phydnet", (0.0, 1.0)) == note("tau", (-3.0, 4.0)) == ""


def test_the_last_good_checkpoint_may_be_an_imports():
    pending = [(3, np.array([0]), {"loss": np.float32("nan")})]
    with pytest.raises(run.DivergedError, match="last good checkpoint: step 0"):
        run._check_finite(pending, 0)
    with pytest.raises(run.DivergedError, match="last good checkpoint: none yet"):
        run._check_finite(pending, None)


def test_a_loss_that_is_not_finite_stops_the_run(recipe, dataset, tmp_path):
    wild = dataclasses.replace(recipe, learning_rate=1e30, schedule="constant", save_every=1)
    with pytest.raises(run.DivergedError, match=r"loss=nan at step \d, clips \[.*\]; last good"):
        run.fit(wild, tmp_path / "wild", dataset=dataset)


def test_too_few_clips_are_refused(recipe, dataset, tmp_path):
    with pytest.raises(ValueError, match="batch_size=64: expected at most the 13"):
        run.fit(dataclasses.replace(recipe, batch_size=64), tmp_path / "few", dataset=dataset)
    assert not (tmp_path / "few").exists()
    with pytest.raises(FileNotFoundError, match="no run folder"):
        run.load(tmp_path)


def test_scores(finished):
    _, task, state = finished
    rows = results.score(task, state.variables(), batch_size=4, label="pdr")
    assert list(rows) == ["pdr", "persistence", "pdr, coarse", "pdr, mean Y", "pdr, shuffled Y"]
    again = results.score(task, state.variables(), batch_size=3, label="pdr", controls=False)
    for name, value in again["pdr"].items():
        assert value == pytest.approx(rows["pdr"][name], rel=1e-5), name
    # Persistence, by hand.
    frames = moving_blobs()[16:].astype(np.float64) / 255
    error = (frames[:, 2:] - frames[:, 1:2]) ** 2
    assert rows["persistence"]["mse"] == pytest.approx(error.sum((2, 3, 4)).mean(), rel=1e-5)
    assert rows["pdr"]["mse"] != rows["pdr, mean Y"]["mse"]
    with pytest.raises(ValueError, match="split='train'"):
        results.score(task, state.variables(), split="train")


def test_persistence_is_perfect_on_a_still_clip():
    still = np.repeat(moving_blobs(4, 1), 4, axis=1)
    task_clip = run.ClipSpec(2, 2, 0.0, 255.0)
    evaluator = Evaluator(("mse", "mae"))
    ids = evaluation.evaluate(
        evaluation.persistence,
        lambda: [{"frames": still[:3], "id": range(3)}, {"frames": still[3:], "id": [3]}],
        clip=task_clip,
        batch_size=3,
        evaluator=evaluator,
    )
    assert ids.tolist() == [0, 1, 2, 3]
    assert evaluator.compute() == {"mse": 0, "mae": 0}
    assert evaluator.count == 4


def test_predict(finished, tmp_path):
    _, task, state = finished
    clips = moving_blobs(5, 3)
    variables = state.variables()
    future = predict_array(task, variables, clips, horizon=3, batch_size=2)
    assert future.shape == (5, 3, 8, 8, 1)
    assert future.dtype == np.uint8
    one = predict_array(task, variables, clips[2], horizon=3)
    assert one.shape == future[2].shape
    # Another batch size sums in another order, which may cross the edge between two grey levels.
    assert np.abs(one.astype(int) - future[2]).max() <= 1
    assert np.mean(one != future[2]) < 0.05
    # Floats in stored units are not rounded; only the last in_length frames count.
    exact = predict_array(task, variables, clips[:, 1:].astype(np.float32), horizon=3, batch_size=2)
    assert np.abs(exact - future)[(exact > 0) & (exact < 255)].max() <= 0.5 + 1e-3
    assert predict_array(task, variables, clips[:0]).shape == (0, 2, 8, 8, 1)

    np.save(tmp_path / "clips.npy", clips)
    np.testing.assert_array_equal(read_frames(tmp_path / "clips.npy"), clips)
    with pytest.raises(ValueError, match="would replace the frames"):
        prepare_outputs(tmp_path / "clips.npy", tmp_path / "new/../clips.npy")
    prepare_outputs(tmp_path / "clips.npy", tmp_path / "new/future.npy")
    write_frames(tmp_path / "new/future.npy", future)
    np.testing.assert_array_equal(np.load(tmp_path / "new/future.npy"), future)
    for frames, message in (
        (clips[..., 0], "frames has shape"),
        (clips[:, :1], "2 or more"),
        (np.full((1, 2, 8, 8, 1), np.nan), "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            predict_array(task, variables, frames)
    for name in ("horizon", "batch_size"):
        with pytest.raises(ValueError, match=f"{name}=0: must be at least 1"):
            predict_array(task, variables, clips, **{name: 0})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("text.npy x.npy", "text.npy is no .npy file of numbers"),
        ("words.npy x.npy", "words.npy holds <U5: expected integers or floats"),
        ("archive.npz x.npy", "archive.npz is an archive of arrays, frames: save the one"),
        ("clips.npy x.npz", "target='x.npz': expected a name that ends in .npy"),
        ("clips.npy new/x.npy --gif x.png", "gif='x.png': expected a name that ends in .gif"),
        ("clips.npy clips.npy/x.npy", "clips.npy"),
    ],
)
def test_files_of_predictions_are_checked_before_any_work(
    files, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    np.save("clips.npy", moving_blobs(2))
    np.savez("archive.npz", frames=moving_blobs(2))
    np.save("words.npy", np.array(["clips"]))
    (tmp_path / "text.npy").write_text("not an array")
    with pytest.raises(SystemExit):
        cli.main(["predict", "nowhere", *files.split()])
    assert message in capsys.readouterr().err  # and not that `nowhere` is no run folder
    assert not list(tmp_path.glob("**/x*"))


def test_a_gif_that_cannot_be_drawn_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    with pytest.raises(ImportError, match="pictures need imageio"):
        prepare_outputs(tmp_path / "clips.npy", tmp_path / "x.npy", tmp_path / "x.gif")


def test_your_own_model(recipe, dataset, tmp_path):
    from flax import linen as nn

    from pdr_jax import PDR

    class Repeat(nn.Module):
        @nn.compact
        def __call__(self, frames, horizon=None, *, train=False):
            gain = self.param("gain", nn.initializers.ones, (1, 1, 1, 1, 1))
            return gain * frames[:, -1:].repeat(horizon or frames.shape[1], axis=1)

    plain = dataclasses.replace(recipe, adapter="none", ema_decay=0.0, holdout=0.0)
    model = PDR(Repeat())
    task, state = run.fit(plain, tmp_path / "own", dataset=dataset, model=model)
    assert task.holdout is None
    assert float(state.params["backbone"]["gain"].reshape(())) != 1
    _, task, restored = run.load(tmp_path / "own", dataset=dataset, model=model)
    rows = results.score(task, restored.variables(), label="own")
    assert list(rows) == ["own", "persistence"]


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("clips.npy", moving_blobs())
    options = (
        "--data-options.path clips.npy --in-length 2 --out-length 2 --batch-size 4 --steps 2 "
        "--devices 1 --holdout 0.2 --backbone-options.hid-S 4 --backbone-options.hid-T 8 "
        "--backbone-options.N-T 2 --predgs.num-gaussians 16 --predgs.window 7 --predgs.pool 4 "
        "--predgs.hidden 8"
    ).split()
    cli.main(["train", "arrays", "--adapter", "robust", "--out", "run", *options])
    printed = capsys.readouterr().out
    assert '"num_gaussians": 16' in printed
    assert "tau + robust" in printed
    figures = json.loads((tmp_path / "run/metrics.json").read_text())
    assert figures["rows"]["tau + robust"]["mse"] > 0
    for picture in ("strip.png", "clip.gif", "gaussians.png", "loss.png"):
        assert (tmp_path / "run" / picture).stat().st_size > 1000, picture

    np.save("seen.npy", moving_blobs(3, 2))
    cli.main(["predict", "run", "seen.npy", "future.npy", "--gif", "future.gif"])
    assert np.load("future.npy").shape == (3, 2, 8, 8, 1)
    assert (tmp_path / "future.gif").stat().st_size > 100

    cli.main(["eval", "run", "--no-controls", "--checkpoint", "last"])
    written = json.loads((tmp_path / "run/eval-test-standard-2.json").read_text())
    assert list(written["rows"]) == ["tau + robust"]

    cli.main(["train", "--resume=run"])  # already complete: evaluates again
    assert "written" not in capsys.readouterr().err

    # What the data do not allow is said before the recipe is shown.
    with pytest.raises(SystemExit):
        cli.main(["train", "arrays", *options, "--batch-size", "64"])
    printed = capsys.readouterr()
    assert "batch_size=64: expected at most" in printed.err
    assert not printed.out

    # Without clips to score there are pictures still.
    bare = run.read_recipe(tmp_path / "run")
    bare = dataclasses.replace(
        bare, holdout=0.0, data_options={**bare.data_options, "test_fraction": 0.0}
    )
    run.write_json(tmp_path / "run/recipe.json", bare.to_json())
    cli.finish(tmp_path / "run")
    printed = capsys.readouterr().out
    assert "no figures: arrays has no test clips, and none are held out" in printed
    assert "strip.png" in printed


def test_data_commands(capsys):
    cli.main(["data", "list"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(pdr_datasets.names())
    assert all(len(line.split()) > 3 for line in listed)  # each says what it is
    cli.main(["data", "info", "kth"])
    assert "00sequences.txt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("train movin_sprites", "did you mean 'moving_sprites'"),
        ("train kth --adapter predg", "did you mean 'predgs'"),
        ("train kth --learning-rate -1", "learning_rate=-1.0: expected more than 0"),
        ("train kth --learnin-rate 1", "--learning-rate"),
        ("train arrays --data-options.path no.npy", "no.npy"),
        ("eval nowhere", "no run folder"),
        ("eval [/markup]", "[/markup] is no run folder"),
        ("train arrays", "give --data-options.path FILE"),
        ("train --resume runs/x --steps 3", "--resume takes no other option"),
        ("train --resume=runs/x --steps=3", "--resume takes no other option"),
        ("train --steps=3 --resume=runs/x", "--resume takes no other option"),
        ("train kth --resume=runs/x", "--resume takes no other option"),
        # The recipe is that of the data set, wherever it stands; or it is refused.
        ("train --epochs 5 kth", "kth '128x128_10to20' is not prepared"),
        ("train --out kth taxibj", "dataset='taxibj', but 'kth' was taken for it"),
        ("train --epochs 5 ktj", "give the data set before all options, pdr train ktj"),
        ("data info", "name is missing"),
        ("data prepare kth", "00sequences.txt"),
        ("data prepare ktj", "no such data set"),
    ],
)
def test_bad_command_lines_are_refused(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(SystemExit) as exit_:
        cli.main(argv.split())
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_command_says_how_to_go_on(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(pdr_datasets, "names", interrupted)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["data", "list"])
    assert exit_.value.code == 130
    assert "pdr train --resume" in capsys.readouterr().out


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    small = functools.partial(
        recipes.create,
        in_length=2,
        out_length=2,
        backbone_options=SMALL["backbone_options"],
        devices=1,
        data_options={"size": 16, "channels": 1, "num_train": 24, "num_test": 8},
    )
    monkeypatch.setattr(recipes, "create", small)
    cli.main(["demo", "--steps", "2", "--size", "16", "--out", str(tmp_path / "demo")])
    printed = capsys.readouterr().out
    for row in ("tau", "tau + predgs", "persistence", "sharpness"):
        assert row in printed
    figures = json.loads((tmp_path / "demo/metrics.json").read_text())
    assert {"tau", "tau + predgs", "persistence"} <= set(figures["rows"])
    assert (tmp_path / "demo/gaussians.png").exists()


def _leaves(state):
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
