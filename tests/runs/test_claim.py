"""One process trains in a folder; a dead one is in nobody's way."""

import subprocess
import sys

import pytest

from pdr_jax.runs.claim import claim

HOLD = """
import sys, time
from pathlib import Path
from pdr_jax.runs.claim import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_in_use_is_refused_until_its_holder_is_killed(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        message = f"{run} is in use: process {holder.pid} on"
        with pytest.raises(FileExistsError, match=message), claim(run):
            pass
        holder.kill()
    with claim(run):
        assert (run / ".lock").exists()


def test_a_folder_that_stays_empty_is_removed(tmp_path):
    with pytest.raises(KeyError), claim(tmp_path / "run"):
        raise KeyError
    assert not (tmp_path / "run").exists()
    with claim(tmp_path / "run"):
        (tmp_path / "run/recipe.json").write_text("{}")
    assert (tmp_path / "run/recipe.json").exists()
