"""Which adapter is the default? Every preset on real KTH frames and on ERA5 temperature.

    python -m experiments.adapters --era5-path era5_uk_t2m_hourly.npz --st-lpips WEIGHTS.npz

The plain predictor and PDR with each preset, all with L1 + SSIM, from the same seeds for the same
steps. KTH is as in experiments.kth_person01, whose finished runs are shared; ERA5 is (time, 33, 49)
hourly 2 m temperature in kelvin (array "t2m"), cropped to 32x48, z-scored, 12 -> 12. Compared are
the figures, and whether they get worse when the rendered frames are replaced by their mean: if not,
the renderer is not used.
"""

from pathlib import Path

import tyro

from experiments import era5, kth_person01, provenance
from experiments.study import adapter_arm, run_study
from pdr_jax import predgs
from pdr_jax.files import write_json
from pdr_jax.metrics.perceptual import load_st_lpips_alex

SEEDS = (0, 1)
ADAPTERS = ("none", *predgs.PRESETS)


def main(
    era5_path: Path,
    st_lpips: Path,
    steps: int = 200,
    folder: Path = Path("runs"),
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Runs the study.

    Args:
        era5_path: .npz with the array "t2m", (time, latitude, longitude) in kelvin.
        st_lpips: Weights of the shift-tolerant LPIPS (AlexNet).
        steps: Optimisation steps of each run.
        folder: Of finished runs, which are not repeated.
        shard: Index and count of the processes that share the runs; the one that calls without
            writes the result.
    """
    kth = kth_person01.load_data(64)
    on_kth = run_study(
        [adapter_arm(kth_person01.recipe(name, "l1_ssim", steps, 64)) for name in ADAPTERS],
        SEEDS,
        shard=shard,
        dataset=kth["10 -> 10"],
        evaluate_on=kth,
        folder=folder / "kth_person01",
        extra={"st_lpips_alex": load_st_lpips_alex(st_lpips)},
    )
    weather = era5.load(era5_path)
    on_era5 = run_study(
        [adapter_arm(era5.recipe(name, "l1_ssim", steps)) for name in ADAPTERS],
        SEEDS,
        shard=shard,
        dataset=weather,
        evaluate_on={"12 -> 12": weather},
        folder=folder / "era5_uk",
    )
    if shard == (0, 1):
        write_json(
            provenance.RESULTS / "adapters.json",
            {**provenance.record(seeds=list(SEEDS)), "kth": on_kth, "era5": on_era5},
        )


if __name__ == "__main__":
    tyro.cli(main)
