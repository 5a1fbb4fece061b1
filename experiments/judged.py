"""What adapters are judged on: data sets, each with a recipe that two cores train in minutes.

With `full`, a recipe has the published size and 10,000 steps, for which a GPU is needed.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pdr_datasets
from experiments import era5
from experiments.study import OPTIMIZER
from pdr_jax import metrics, recipes
from pdr_jax.metrics.perceptual import load_st_lpips_alex
from pdr_jax.recipes import Recipe
from pdr_jax.task import open_dataset

SMALL: dict[str, Any] = {
    "backbone_options": {"hid_S": 8, "hid_T": 32, "N_S": 2, "N_T": 2, "drop_path": 0.0},
    "learning_rate": 2e-3,
    "schedule": "onecycle",
    "devices": 1,
}
FULL: dict[str, Any] = {"steps": 10_000}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One data set of the study.

    Attributes:
      title: in tables.
      benchmark: whose recipe it is.
      fields: of the small recipe, beside `SMALL`.
      data_options: of the small recipe, beside the benchmark's.
      split: data options of both recipes: which clips are for testing.
      longer: a longer horizon to score as well, by roll-out.
      every: test clips are every `every`-th.
      unit: of errors.
      clip: the test clip that is drawn, if frames can be looked at.
      halved: whether frames of the small recipe have half the side of the benchmark's.
    """

    title: str
    benchmark: str
    fields: Mapping[str, Any]
    data_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    split: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    longer: int | None = None
    every: int = 1
    unit: str = "the range [0, 1]"
    clip: int | None = None
    halved: bool = False

    def recipe(self, *, full: bool, **fields: Any) -> Recipe:
        """The recipe of an arm, by fields of `pdr_jax.recipes.create`."""
        sizes = FULL if full else {**SMALL, **self.fields}
        made = recipes.create(self.benchmark, **{**OPTIMIZER, "holdout": 0.0, **sizes, **fields})
        made.data_options.update(self.split if full else {**self.split, **self.data_options})
        if self.halved and not full:
            made = at_half_size(made)
        return dataclasses.replace(made, save_every=made.steps)

    def open(
        self, recipe: Recipe, data_dir: Path | None, era5_path: Path | None
    ) -> dict[str, pdr_datasets.VideoDataset]:
        """The data by horizon, such as "10 -> 10"; the first is trained on."""
        if self.benchmark == "weatherbench":
            if era5_path is None:
                raise SystemExit("--era5-path is missing: the .npz with the array t2m")
            opened = [era5.load(era5_path)]
        else:
            horizons = (recipe.out_length, *([self.longer] if self.longer else ()))
            opened = [
                open_dataset(dataclasses.replace(recipe, data_dir=data_dir, out_length=length))
                for length in horizons
            ]
        return {
            f"{data.in_length} -> {data.out_length}": every_nth(data, self.every) for data in opened
        }

    def measured(self, frame_shape: tuple[int, int, int], st_lpips: Path | None) -> dict[str, Any]:
        """What is measured beside the protocol's metrics, as arguments of `study.run_arm`."""
        if "protocol" in self.fields:
            return {"protocol": self.fields["protocol"]}
        warping = metrics.WARPING if min(frame_shape[:2]) >= 12 else ()
        extra: dict[str, metrics.FrameMetric] = {}
        if st_lpips and self.clip is not None:
            extra["st_lpips_alex"] = load_st_lpips_alex(st_lpips)
        return {"names": ("psnr_uint8", *warping), "extra": extra}


def at_half_size(recipe: Recipe) -> Recipe:
    """A recipe of 128x128 frames for 64x64: a window and a pooling of half the size.

    Those of tracked Gaussians are pixels, whatever the frame.
    """
    if recipe.predgs.heads == "tracked":
        return recipe
    return dataclasses.replace(recipe, predgs=dataclasses.replace(recipe.predgs, window=25, pool=4))


def every_nth(dataset: pdr_datasets.VideoDataset, step: int) -> pdr_datasets.VideoDataset:
    """A data set with every `step`-th of its test clips."""
    test = dataset.splits["test"]
    test = Chosen(test, range(0, len(test), step))
    return dataclasses.replace(dataset, splits={**dataset.splits, "test": test})


class Chosen:
    """Some clips of a source, by their indices."""

    def __init__(self, source: pdr_datasets.Source, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Mapping[str, Any]:
        return self._source[self._indices[index]]


SETTINGS: dict[str, Setting] = {
    "moving_sprites": Setting(
        "Moving sprites, 32x32x3, 10 -> 10",
        "moving_sprites",
        {"in_length": 10, "out_length": 10, "batch_size": 8, "steps": 200},
        {"num_train": 1024},
        clip=0,
    ),
    "kth": Setting(
        "KTH subset, 25 + 5 clips, by person, 64x64",
        "kth",
        {"out_length": 10, "batch_size": 4, "steps": 200},
        {"size": 64},
        longer=20,
        every=2,
        clip=10,
        halved=True,
    ),
    "kth_mcvd": Setting(
        "KTH subset by MCVD's protocol, 64x64",
        "kth",
        {"out_length": 10, "batch_size": 4, "steps": 200, "protocol": "mcvd"},
        {"size": 64, "split": "mcvd"},
        longer=30,
        every=4,
        halved=True,
    ),
    "taxinyc": Setting(
        "TaxiNYC, 16x8x2, 4 -> 4",
        "taxinyc",
        {"batch_size": 16, "steps": 400},
        every=8,
        unit="taxis an hour and cell",
    ),
    "bikenyc": Setting(
        "BikeNYC, 16x8x2, 4 -> 4",
        "bikenyc",
        {"batch_size": 16, "steps": 400},
        unit="bikes an hour and cell",
    ),
    "era5": Setting(
        "ERA5 over Britain, 2 m temperature, 32x48, 12 -> 12",
        "weatherbench",
        {"batch_size": 4, "steps": 150},
        unit="kelvin",
    ),
    "weizmann": Setting(
        "Weizmann actions as own videos, 4 + 2 persons, 64x64x3, 10 -> 10",
        "videos",
        {"batch_size": 4, "steps": 200},
        split={"split": "prefix", "test_fraction": 0.34, "val_fraction": 0.0},
        clip=10,
    ),
}
