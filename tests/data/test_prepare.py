"""Preparing data sets: whole or not at all, offline, quietly, without TensorFlow."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pdr_datasets
from pdr_datasets.moving_sprites import moving_sprites_dataset_builder

SMALL = {"num_train": 5, "num_test": 2, "in_length": 1, "out_length": 1, "size": 16}


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def builds(folder):
    """All files, of builds complete or half-made."""
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def test_importing_is_cheap():
    result = run(
        """
        import sys
        import pdr_datasets
        heavy = {"tensorflow", "tensorflow_datasets", "grain", "av", "zarr", "jax", "rich"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        """
    )
    assert result.returncode == 0, result.stderr


def test_imports_no_tensorflow_needs_no_network_and_prints_nothing(tmp_path):
    trap = tmp_path / "packages/tensorflow"  # installed, as far as anyone can tell
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("raise AssertionError('tensorflow is imported')")
    result = run(
        f"""
        import socket, sys

        def refuse(*args, **kwargs):
            raise AssertionError("network")

        socket.socket.connect = socket.getaddrinfo = refuse
        sys.path.insert(0, {str(trap.parent)!r})
        import pdr_datasets
        dataset = pdr_datasets.load("moving_sprites", data_dir={str(tmp_path)!r}, **{SMALL!r})
        batches = pdr_datasets.batches(dataset.splits["train"], 2)
        assert next(batches)["frames"].shape == (2, 2, 16, 16, 1)
        batches.close()
        """
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("error", [RuntimeError("disk"), KeyboardInterrupt()])
def test_interrupted_preparation_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch, error):
    draw = moving_sprites_dataset_builder.draw_clip
    drawn = []

    def interrupted(rng, **options):
        if len(drawn) == 3:
            raise error
        drawn.append(1)
        return draw(rng, **options)

    with monkeypatch.context() as patch:
        patch.setattr(moving_sprites_dataset_builder, "draw_clip", interrupted)
        with pytest.raises(type(error)):
            pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)
    assert len(drawn) == 3
    assert builds(tmp_path) == []
    folder = pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)
    assert (folder / "dataset_info.json").is_file()
    assert len(pdr_datasets.load("moving_sprites", data_dir=tmp_path, **SMALL).splits["train"]) == 5


def test_killed_preparation_is_not_taken_for_complete(tmp_path):
    result = run(
        f"""
        import os
        import pdr_datasets
        from pdr_datasets.moving_sprites import moving_sprites_dataset_builder as module
        drawn = []
        def killed(rng, **options):
            os._exit(9)
        module.draw_clip = killed
        pdr_datasets.prepare("moving_sprites", data_dir={str(tmp_path)!r}, **{SMALL!r})
        """
    )
    assert result.returncode == 9
    assert list(tmp_path.glob("moving_sprites/*/incomplete.*"))  # what the killed process left
    dataset = pdr_datasets.load("moving_sprites", data_dir=tmp_path, **SMALL)
    assert len(dataset.splits["train"]) == 5
    assert not list(tmp_path.glob("moving_sprites/*/incomplete.*"))


def test_prepared_once_then_reused(tmp_path, monkeypatch):
    folder = pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)
    monkeypatch.setattr(moving_sprites_dataset_builder, "draw_clip", None)
    assert pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL) == folder


def test_two_processes_may_prepare_at_once(tmp_path):
    code = f"""
import time
import pdr_datasets
from pdr_datasets.moving_sprites import moving_sprites_dataset_builder as module

draw = module.draw_clip

def slow(rng, **options):
    time.sleep(0.15)
    return draw(rng, **options)

module.draw_clip = slow
pdr_datasets.prepare("moving_sprites", data_dir={str(tmp_path)!r}, **{SMALL!r})
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(list(tmp_path.rglob("dataset_info.json"))) == 1


def test_a_folder_of_something_else_is_not_overwritten(tmp_path):
    folder = pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)
    (folder / "dataset_info.json").unlink()
    with pytest.raises(FileExistsError, match="holds no complete build"):
        pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)


def test_progress_goes_to_standard_error(tmp_path, capsys):
    pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, progress=True, **SMALL)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "7/7" in captured.err


def test_default_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path))
    folder = pdr_datasets.prepare("moving_sprites", **SMALL)
    assert folder.is_relative_to(tmp_path)


def test_names_and_cards():
    assert {"arrays", "bikenyc", "kth", "moving_sprites", "taxibj"} <= set(pdr_datasets.names())
    for name in pdr_datasets.names():
        card = pdr_datasets.info(name)
        assert card.startswith(f"# {name}\n")
        assert "Licence" in card or "research use" in card
    with pytest.raises(ValueError, match=r"name='mnist'.* There are: arrays, bair, bikenyc"):
        pdr_datasets.load("mnist")
    with pytest.raises(ValueError, match="no preparation"):
        pdr_datasets.prepare("arrays")
