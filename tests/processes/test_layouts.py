"""Eight devices in one, two, four or eight processes train alike, and go on in another layout."""

import numpy as np
import pytest

from experiments.launched import run
from experiments.several_processes import losses

pytestmark = pytest.mark.slow

TRAIN = (
    "-m pdr_jax.commands train moving_sprites --backbone tau --backbone-options.hid-S 4 "
    "--backbone-options.hid-T 8 --backbone-options.N-S 2 --backbone-options.N-T 2 --adapter paper "
    "--predgs.position-init harris --in-length 2 --out-length 2 --data-options.size 16 "
    "--data-options.num-train 24 --data-options.num-test 4 --batch-size 8 --steps 4 "
    "--save-every 2 --log-every 1 --data-dir data --devices 0 --loss l1 --shard-parameters --out"
).split()
FLAGS = "--xla_backend_optimization_level=0"


def test_layouts(tmp_path):
    def trained(words, folder, processes):
        run(words, count=processes, devices=8 // processes, cwd=tmp_path, flags=FLAGS)
        found = losses(tmp_path / folder)
        assert list(found) == ["1", "2", "3", "4"]
        return np.array(list(found.values()))

    alone = trained([*TRAIN, "1"], "1", 1)
    for processes in (2, 4, 8):
        name = str(processes)
        np.testing.assert_allclose(trained([*TRAIN, name], name, processes), alone, rtol=2e-6)
    resume = ["-m", "pdr_jax.commands", "train", "--checkpoint", "2"]
    resume += ["--shard-parameters", "False"]
    for name, processes in (("4", 1), ("1", 2)):
        again = trained([*resume, "--resume", name], name, processes)
        np.testing.assert_allclose(again, alone, rtol=2e-6)
