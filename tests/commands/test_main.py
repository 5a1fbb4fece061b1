"""Bad command lines are refused with a message, and leave nothing behind."""

import contextlib
import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from small_runs import moving_blobs

import pdr_datasets
from pdr_jax.commands import main
from pdr_jax.commands.main import COMMANDS, load, options, refusal, with_option
from pdr_jax.runs.pace import DivergedError


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("train", "dataset is missing: pdr train DATASET, one of moving_sprites"),
        ("train movin_sprites", "did you mean 'moving_sprites'"),
        ("train kth --adapter predg", "did you mean 'predgs'"),
        ("train kth --learning-rate -1", "learning_rate=-1.0: expected more than 0"),
        ("train kth --learnin-rate 1", "--learning-rate"),
        ("train arrays --data-options.path no.npy", "no.npy"),
        ("eval nowhere", "no run folder"),
        ("eval gs://bucket/run", "gs:/bucket/run: expected a folder of a file system"),
        ("eval [/markup]", "[/markup] is no run folder"),
        ("train arrays", "(option --data-options.path)"),
        ("train kth --renderer cuda", "--renderer"),
        ("train --resume runs/x --steps 3", "--resume takes no other option"),
        ("train --resume=runs/x --steps=3", "--resume takes no other option"),
        ("train --steps=3 --resume=runs/x", "--resume takes no other option"),
        ("train kth --resume=runs/x", "--resume takes no other option"),
        # The data set decides the recipe wherever it stands, or the command is refused.
        ("train --epochs 5 kth", "kth '128x128_10to20' is not prepared"),
        ("train kth", "Prepared there: none. Prepare it: pdr data prepare kth --config 128x128_10"),
        ("train --out kth taxibj", "dataset='taxibj', but 'kth' was taken for it"),
        ("train --epochs 5 ktj", "give the data set before all options, pdr train ktj"),
        ("data info", "name is missing"),
        ("data prepare kth", "00sequences.txt"),
        ("data prepare ktj", "no such data set"),
        ("models tua", "did you mean 'tau'"),
        ("trian kth", "invalid choice: 'trian'"),
        ("--verbose train", "required: COMMAND"),
    ],
)
def test_bad_command_lines_are_refused(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(SystemExit) as exit_:
        main(argv.split())
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("message", "completed"),
    [
        ("batch_size=0: expected 1", "batch_size=0: expected 1 (option --batch-size)"),
        ("data_options.path is missing", "(option --data-options.path)"),
        ("batch_size is odd", "batch_size is odd"),
        ("key=None: two.nc holds u, v", "key=None: two.nc holds u, v (option --data-options.key)"),
        ("latitudes=0: expected degrees", "latitudes=0: expected degrees"),
    ],
)
def test_a_message_that_starts_with_a_field_gets_its_option(message, completed):
    assert with_option(message, {"batch_size", "data_options"}).endswith(completed)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("text.npy x.npy", "text.npy cannot be read as .npy"),
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
        main(["predict", "nowhere", *files.split()])
    assert message in capsys.readouterr().err  # and not that `nowhere` is no run folder
    assert not list(tmp_path.glob("**/x*"))


def test_an_interrupted_command_ends_with_its_status(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(pdr_datasets, "names", interrupted)
    with pytest.raises(SystemExit) as exit_:
        main(["data", "list"])
    assert exit_.value.code == 130
    assert "interrupted" in capsys.readouterr().out


def test_data_sets_are_listed(capsys):
    main(["data", "list"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(pdr_datasets.names())
    assert all(len(line.split()) > 3 for line in listed)  # each says what it is


def test_the_card_of_a_data_set_is_shown(capsys):
    main(["data", "info", "kth"])
    assert "00sequences.txt" in capsys.readouterr().out


def test_help_comes_without_jax():
    """Its import takes seconds."""
    code = (
        "import sys; from pdr_jax.commands import main\n"
        "try: main(['--help'])\n"
        "finally: assert not {'jax', 'numpy', 'tyro'} & set(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(name in shown.stdout for name in COMMANDS)


def test_data_sets_are_listed_without_jax():
    code = (
        "import sys; from pdr_jax.commands import main; main(['data', 'list'])\n"
        "assert 'jax' not in sys.modules"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "moving_sprites" in shown.stdout


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    code = "from pdr_jax.commands import main; main(['data', 'list'])"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        stdout=write,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # what is left to write is written at the end
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_a_divergence_is_not_the_fault_of_an_option():
    known = {"loss", "batch_size"}
    assert refusal(DivergedError("loss=nan at step 8"), known) == "loss=nan at step 8"
    assert refusal(ValueError("loss='x': expected l1"), known).endswith("(option --loss)")
    assert refusal(KeyError("a bug"), known) is None


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.strip() == metadata.version("pdr-jax")


def test_every_command_is_there():
    assert all(callable(load(name, [])) for name in COMMANDS)
    assert options(load("predict", [])) >= {"horizon", "batch_size"}


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The file that completes all commands in bash."""
    path = tmp_path_factory.mktemp("completion") / "pdr.bash"
    with pytest.raises(SystemExit), path.open("w") as file, contextlib.redirect_stdout(file):
        main(["--tyro-print-completion", "bash"])
    return path


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("ev", "eval"),
        ("eval runs/x --che", "--checkpoint"),
        ("train vid", "videos"),
        ("train videos --data-options.h", "--data-options.height"),
        ("train kth --adapter tracked+", "tracked+diffusion"),
        ("train kth --backbone simvp_m", "simvp_mlp simvp_moga"),
        ("train kth --loss l", "l1 l1_ssim"),
        ("train --res", "--resume"),
        ("models simvp_mo", "simvp_moga"),
        ("data prep", "prepare"),
        ("data prepare videos --hei", "--height"),
    ],
)
def test_a_script_completes_all_commands(words, completed, script):
    code = (
        f". {script}; COMP_WORDS=(pdr {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        "_tyro_pdr; echo ${COMPREPLY[@]}"
    )
    found = subprocess.run(["bash", "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == completed.split()
