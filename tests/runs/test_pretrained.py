"""Folders in Hugging Face's layout: what is written is read, and predicts as the run does."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from imported_runs import fail
from small_runs import moving_blobs

import pdr_jax
from pdr_jax.commands import main
from pdr_jax.evaluation import stablehlo
from pdr_jax.files import read_json, write_json
from pdr_jax.interop import safetensors
from pdr_jax.runs import pretrained

pytestmark = pytest.mark.rest

FRAMES = moving_blobs(3, seed=7)


@pytest.fixture(scope="module")
def run(finished):
    return pdr_jax.from_pretrained(finished[0])


@pytest.fixture(scope="module")
def folder(run, finished, tmp_path_factory):
    """What `pdr export` writes of a finished run."""
    out = tmp_path_factory.mktemp("exported") / "new" / "model"
    main(["export", str(finished[0]), str(out), "--horizon", "3", "--platforms", "cpu"])
    return out


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the folder, to break."""
    return shutil.copytree(folder, tmp_path / "copy")


def test_variables_come_back_bit_for_bit(run, folder, finished):
    found = pdr_jax.from_pretrained(folder)
    assert jax.tree.structure(found.variables) == jax.tree.structure(run.variables)
    for here, there in zip(
        jax.tree.leaves(found.variables), jax.tree.leaves(run.variables), strict=True
    ):
        assert (here.dtype, here.shape) == (there.dtype, there.shape)
        assert np.asarray(here).tobytes() == np.asarray(there).tobytes()
    # Those of the best checkpoint, under names that any reader of the format sees.
    best = finished[2].variables()["params"]["backbone"]
    name = "params.backbone." + ".".join(
        str(key.key) for key in jax.tree_util.tree_leaves_with_path(best)[0][0]
    )
    assert (
        safetensors.load(folder / "model.safetensors")[name].shape == jax.tree.leaves(best)[0].shape
    )
    assert found.step == run.step > 0


def test_predictions_are_those_of_the_run(run, folder):
    found = pdr_jax.from_pretrained(folder)
    for frames in (FRAMES, FRAMES.astype(np.float32)):
        assert found.predict(frames).tobytes() == run.predict(frames).tobytes()


def test_the_command_predicts_from_an_exported_folder(run, folder, tmp_path, capsys):
    np.save(tmp_path / "frames.npy", FRAMES)
    main(["predict", str(folder), str(tmp_path / "frames.npy"), str(tmp_path / "future.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "future.npy"), run.predict(FRAMES))


def test_a_folder_is_written_again_as_it_is(folder, tmp_path):
    pdr_jax.from_pretrained(folder).save_pretrained(tmp_path / "model", platforms=())
    assert sorted(os.listdir(tmp_path / "model")) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    weights = "model.safetensors"
    assert (tmp_path / "model" / weights).read_bytes() == (folder / weights).read_bytes()
    before, after = (read_json(each / "config.json") for each in (folder, tmp_path / "model"))
    assert after == {**before, "program": None}


def test_the_program_predicts_without_this_package_for_any_batch(run, folder, tmp_path):
    """As the jitted model; `predict` scales frames outside of it.

    With jax 0.12 the bits are equal. XLA of jax 0.10 fuses a program for any batch otherwise, which
    changes sums by less than the last bit of 255, the largest value.
    """
    predict = stablehlo.stored_predictor(run.task, run.variables, horizon=3)
    np.save(tmp_path / "frames.npy", FRAMES)
    np.save(tmp_path / "one.npy", FRAMES[0, -2:].astype(np.float32))
    blocked = {name: None for name in ("pdr_jax", "pdr_datasets", "pallas_kernels", "flax")}
    code = (
        f"import runpy, sys; sys.modules |= {blocked}\n"
        "for sys.argv[1:] in ['frames.npy', 'three.npy'], ['one.npy', 'future.npy']:\n"
        f"    runpy.run_path({str(folder / 'predict.py')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    for name, frames in (("three", FRAMES), ("future", FRAMES[:1])):
        found, wanted = (
            np.load(tmp_path / f"{name}.npy"),
            predict(frames[:, -2:].astype(np.float32)),
        )
        assert found.dtype == np.float32
        last_bit = float(np.spacing(np.float32(255)))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=last_bit)
        ours = run.predict(frames.astype(np.float32), horizon=3)
        np.testing.assert_allclose(found, ours, rtol=0, atol=255 * 2e-6)


@pytest.mark.parametrize("cut", [np.s_[:, :1], np.s_[0, :1], np.s_[:, :, 1:], np.s_[0, 0]])
def test_the_program_says_what_it_expects(cut, folder, tmp_path, monkeypatch):
    """Too few frames, of many clips and of one; another size; no clips."""
    np.save(tmp_path / "frames.npy", FRAMES[cut])
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "frames.npy"), str(tmp_path / "out.npy")])
    shape = re.escape(str(FRAMES[cut].shape))
    with pytest.raises(SystemExit, match=rf"frames\.npy: shape {shape}; .* with T of 2 or more"):
        runpy.run_path(str(folder / "predict.py"))
    assert not (tmp_path / "out.npy").exists()
    monkeypatch.setattr(sys, "argv", ["predict.py"])
    with pytest.raises(SystemExit, match=r"python predict\.py FRAMES\.npy FUTURE\.npy"):
        runpy.run_path(str(folder / "predict.py"))


def test_the_card_has_a_head_a_use_and_the_figures(run, finished, tmp_path):
    rows = {run.task.recipe.label: {"mse": 1.5, "ssim": None}, "persistence": {"mse": 2.5}}
    metrics = {
        "dataset": "arrays blobs",
        "split": "test",
        "horizon": 2,
        "protocol": "standard",
        "errors": "in model units",
        "data": {"path": "/home/someone/clips.npy"},
        "rows": rows,
    }
    made = pretrained.Pretrained(run.task, run.variables, 4, metrics=metrics)
    made.save_pretrained(tmp_path / "blobs", platforms=())
    dashes, *head = (tmp_path / "blobs/README.md").read_text().split("\n---\n")[0].splitlines()
    assert dashes == "---"
    assert head.pop().startswith("# license")
    fields = {name: json.loads(value) for name, value in (line.split(": ", 1) for line in head)}
    assert fields["library_name"] == "pdr-jax"
    (result,) = fields["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "mse", "value": 1.5}]
    text = (tmp_path / "blobs/README.md").read_text()
    assert "| persistence | 2.5 |" in text
    assert "predict.py" not in text
    assert "0 to 255" in text
    assert "someone" not in (tmp_path / "blobs/config.json").read_text()


def test_nothing_is_replaced_and_nothing_is_left_half_written(run, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there' is there already"):
        run.save_pretrained(tmp_path / "there")
    monkeypatch.setattr(pretrained, "model_card", fail)
    with pytest.raises(OSError, match="disk full"):
        run.save_pretrained(tmp_path / "model", platforms=())
    assert os.listdir(tmp_path) == ["there"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0: expected 1 or more"),
        ({"platforms": ["gpu"]}, "platforms: 'gpu'; expected some of cpu, cuda, tpu, rocm"),
        ({"platforms": ["cpu", "cpu"]}, "expected different ones"),
    ],
)
def test_programs_that_cannot_be_made_are_refused(run, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run.save_pretrained(tmp_path / "model", **options)
    assert not list(tmp_path.iterdir())


def test_a_program_needs_flatbuffers(run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="flatbuffers is not installed"):
        run.save_pretrained(tmp_path / "model")


def test_models_that_the_recipe_does_not_describe_are_refused(run, tmp_path):
    other = run.task._replace(model=run.task.model.clone(gate_start=0.7))
    with pytest.raises(ValueError, match="model: it is not the one"):
        pretrained.Pretrained(other, run.variables).save_pretrained(tmp_path / "model")
    params = {**run.variables["params"], "more": np.zeros(1, np.float32)}
    unlike = pretrained.Pretrained(run.task, {**run.variables, "params": params})
    with pytest.raises(ValueError, match=r"variables: params\.more is unknown"):
        unlike.save_pretrained(tmp_path / "model", platforms=())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, arrays: arrays.pop(name), "is missing; the recipe's model has it"),
        (lambda name, arrays: arrays.update(more=np.zeros(1)), "more is unknown to the recipe's"),
        (
            lambda name, arrays: arrays.update({name: arrays[name][..., None]}),
            r"has shape \(.*, 1\) and type float32; expected",
        ),
        (
            lambda name, arrays: arrays.update({name: arrays[name].astype(np.float16)}),
            "and type float16; expected .* and float32",
        ),
        (
            lambda name, arrays: arrays.update({name: np.full_like(arrays[name], np.nan)}),
            "is not finite",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(copy, change, message):
    arrays = safetensors.load(copy / "model.safetensors")
    name = sorted(arrays)[0]
    change(name, arrays)
    safetensors.save(copy / "model.safetensors", arrays)
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*{message}"):
        pdr_jax.from_pretrained(copy)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("recipe", None, "recipe=None; expected"),
        ("recipe", {}, "damaged: loss_options"),
        ("step", "4", "step='4'; expected"),
        ("data", {}, "data: it lacks the size"),
        ("data", {"scale": 0.0}, "scale=0.0 in .*config.json: expected more than 0"),
        ("data", {"frame_shape": [8, 8]}, "is damaged"),
    ],
)
def test_configurations_that_do_not_fit_are_named(copy, entry, value, message):
    config = read_json(copy / "config.json")
    changed = {**config[entry], **value} if entry == "data" and value else value
    write_json(copy / "config.json", {**config, entry: changed})
    with pytest.raises(ValueError, match=rf"config\.json.*{message}"):
        pdr_jax.from_pretrained(copy)


def test_missing_and_damaged_files_are_named(copy, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run folder and no exported one"):
        pdr_jax.from_pretrained(tmp_path)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        pdr_jax.from_pretrained(copy)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        pdr_jax.from_pretrained(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        pdr_jax.from_pretrained(copy)
