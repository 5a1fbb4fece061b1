"""PDR on real frames: loss and representation apart, with controls, on the KTH clips of one person.

    pdr data prepare kth --manual-dir FOLDER --config 64x64_10to10_subsequence_split
    pdr data prepare kth --manual-dir FOLDER --config 64x64_10to20_subsequence_split
    python -m experiments.kth_person01 --st-lpips WEIGHTS.npz

The plain predictor and PDR (as the paper has it, and our default), each with MSE and with L1 +
SSIM, from the same seeds for the same steps. Trained 10 -> 10; scored 10 -> 10 and, by roll-out,
10 -> 20. A split by sub-sequence of one person's clips: not the KTH benchmark.
"""

import dataclasses
from pathlib import Path

import tyro

import pdr_datasets
from experiments import provenance
from experiments.study import (
    TWO_CORES,
    Arm,
    adapter_arm,
    plain_affine,
    plain_matched,
    run_study,
)
from pdr_jax import recipes
from pdr_jax.files import write_json
from pdr_jax.metrics.perceptual import load_st_lpips_alex
from pdr_jax.recipes import DEFAULT_ADAPTER

SEEDS = (0, 1)


def recipe(adapter: str, loss: str, steps: int, size: int) -> recipes.Recipe:
    """The KTH recipe, its backbone narrowed to what two cores train in minutes.

    Below 128x128 the window and the pooling shrink with the frame.
    """
    made = recipes.create(
        "kth",
        adapter=adapter,
        loss=loss,
        out_length=10,
        steps=steps,
        save_every=steps,
        **TWO_CORES,
    )
    window = 2 * round((made.predgs.window - 1) / 2 * size / 128) + 1
    pool = max(made.predgs.pool * size // 128, 1)
    return dataclasses.replace(
        made, predgs=dataclasses.replace(made.predgs, window=window, pool=pool)
    )


def arms(steps: int, size: int) -> list[Arm]:
    """The rows of the table: for each loss plain, PDR and the controls."""
    rows = []
    for loss in ("mse", "l1_ssim"):
        plain, paper, default = (
            recipe(adapter, loss, steps, size) for adapter in ("none", "paper", DEFAULT_ADAPTER)
        )
        rows += [adapter_arm(plain), adapter_arm(paper), adapter_arm(default)]
        rows += [
            Arm(f"plain + affine, {loss}", plain, plain_affine),
            Arm(f"plain, as large as PDR, {loss}", plain, plain_matched(default)),
        ]
    return rows


def load_data(size: int) -> dict[str, pdr_datasets.VideoDataset]:
    """The prepared windows, by horizon."""
    return {
        f"10 -> {out}": pdr_datasets.load(
            "kth", config=f"{size}x{size}_10to{out}_subsequence_split"
        )
        for out in (10, 20)
    }


def main(
    st_lpips: Path,
    steps: int = 200,
    size: int = 64,
    folder: Path = Path("runs/kth_person01"),
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Runs the study.

    Args:
        st_lpips: Weights of the shift-tolerant LPIPS (AlexNet).
        steps: Optimisation steps of each run.
        size: Height and width of the frames.
        folder: Of finished runs, which are not repeated.
        shard: Index and count of the processes that share the runs; the one that calls without
            writes the result.
    """
    data = load_data(size)
    results = run_study(
        arms(steps, size),
        SEEDS,
        shard=shard,
        dataset=data["10 -> 10"],
        evaluate_on=data,
        folder=folder,
        extra={"st_lpips_alex": load_st_lpips_alex(st_lpips)},
    )
    if shard == (0, 1):
        train, test = (len(data["10 -> 10"].splits[name]) for name in ("train", "test"))
        write_json(
            provenance.RESULTS / "kth_person01.json",
            {
                **provenance.record(seeds=list(SEEDS)),
                "data": f"KTH person01, 4 clips, {size}x{size}, split by sub-sequence (not the "
                f"benchmark): {train} training and {test} test windows at 10 -> 10",
                "runs": results,
            },
        )


if __name__ == "__main__":
    tyro.cli(main)
