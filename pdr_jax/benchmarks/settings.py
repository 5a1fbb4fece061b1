"""The published settings of each benchmark.

Learning rates and widths are those of OpenSTL's configuration files (branch OpenSTL-Lightning,
c74deb5d; branch OpenSTLv0.3.0 for PredNet, DMVFN and CrevNet), of PredFormer's scripts and of
VMRNN's and PFGNet's repositories. PredGS's D, N and K are those of the PDR paper's table of
settings.
"""

from typing import Any

from pdr_jax.benchmarks.benchmark import Benchmark
from pdr_jax.benchmarks.grids import BIKENYC, TAXIBJ, TAXINYC, WEATHERBENCH
from pdr_jax.benchmarks.small import ARRAYS, MOVING_SPRITES, RADAR, VIDEOS
from pdr_jax.benchmarks.videos import (
    BAIR,
    HUMAN36M,
    KITTICALTECH,
    KTH,
    MOVING_FMNIST,
    MOVING_MNIST,
    SEVIR,
)

# For backbones that see true frames throughout training.
_ALWAYS_TAUGHT: dict[str, Any] = {"sampling": "teacher", "sampling_options": {"rate": 0.0}}
# Fields of the recipe that a backbone has on every data set.
TRAINING: dict[str, dict[str, Any]] = {
    "tau": {"loss": "mse_ddr"},
    "convlstm": {"sampling": "scheduled"},
    "predrnn": {"sampling": "scheduled"},
    "predrnnpp": {"sampling": "scheduled"},
    "predrnnv2": {"sampling": "reverse"},
    "mim": {"sampling": "scheduled"},
    "mau": {"sampling": "scheduled"},
    "e3dlstm": {"sampling": "scheduled", "loss": "mse_l1"},
    "phydnet": {"sampling": "teacher"},
    "prednet": {"loss": "l1", **_ALWAYS_TAUGHT},  # the paper's loss is half of L1
    "crevnet": _ALWAYS_TAUGHT,
    "dmvfn": _ALWAYS_TAUGHT,
    "wast": {"loss": "mse_hffl"},
    "predformer": {"optimizer": "adamw", "weight_decay": 1e-2},
}

BENCHMARKS: dict[str, Benchmark] = {
    "moving_sprites": MOVING_SPRITES,
    "taxibj": TAXIBJ,
    "bikenyc": BIKENYC,
    "taxinyc": TAXINYC,
    "weatherbench": WEATHERBENCH,
    "kth": KTH,
    "human36m": HUMAN36M,
    "moving_mnist": MOVING_MNIST,
    "moving_fmnist": MOVING_FMNIST,
    "bair": BAIR,
    "kitticaltech": KITTICALTECH,
    "sevir": SEVIR,
    "arrays": ARRAYS,
    "videos": VIDEOS,
    "radar": RADAR,
}
