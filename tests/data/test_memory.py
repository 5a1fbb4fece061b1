"""Host memory stays bounded, however many clips there are."""

import subprocess
import sys

import pytest

# In a process of its own, since a process's peak is measured. The model keeps next to nothing, so
# the peak is that of the data pipeline.
SCRIPT = """
import resource, tempfile
import flax.linen as nn
import numpy as np
from pdr_datasets import VideoDataset
from pdr_jax import PDR, recipes
from pdr_jax.evaluation import measuring
from pdr_jax.runs.fit import fit
from pdr_jax.task import open_task

class Drawn:
    def __init__(self, size):
        self.size = size
    def __len__(self):
        return self.size
    def __getitem__(self, index):
        shade = np.arange(30 * 128 * 128, dtype=np.uint32) * (index + 1) % 251
        return {"frames": shade.astype(np.uint8).reshape(30, 128, 128, 1), "id": np.int64(index)}

class Repeat(nn.Module):
    @nn.compact
    def __call__(self, frames, horizon, *, train=False):
        gain = self.param("gain", nn.initializers.ones, (1, 1, 1, 1, 1))
        return gain * frames[:, -1:].repeat(horizon, axis=1)

def show():
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)

show()
recipe = recipes.create(
    "kth", adapter="none", loss="mse", devices=1, steps=60, holdout=0.01, save_every=30
)
splits = {"train": Drawn(10_000), "test": Drawn(16)}
dataset = VideoDataset("drawn", "", splits, 10, 20, (128, 128, 1))
task = open_task(recipe, dataset=dataset, model=PDR(Repeat()))
with tempfile.TemporaryDirectory() as folder:
    state = fit(task, folder + "/run")
show()
for clips in (16, 320):
    part = task._replace(test=Drawn(clips))
    measuring.measure(part, state.variables(), batch_size=16, controls=False)
    show()
"""


@pytest.mark.slow
def test_kth_is_trained_and_evaluated_within_2_gib():
    """Its 10,000 clips of 30 frames, 128x128, would take 4.7 GiB as bytes and 37 as float64."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    imported, trained, few, many = map(int, run.stdout.split())
    print(f"MiB after imports {imported}, training {trained}, 16 test clips {few}, 320 {many}")
    assert many < 2048
    predictions = (320 - 16) * 20 * 128 * 128 * 4 / 2**20  # float32, in MiB
    assert many - few < predictions
