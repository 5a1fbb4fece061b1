"""`pdr export`."""

from pathlib import Path

import tyro

from pdr_jax.commands.progress import working
from pdr_jax.evaluation.stablehlo import PLATFORMS
from pdr_jax.runs.pretrained import check_target, from_pretrained


def export(
    run_folder: tyro.conf.Positional[Path],
    out: tyro.conf.Positional[Path],
    horizon: int | None = None,
    platforms: tuple[str, ...] = PLATFORMS,
) -> None:
    """Write a run's predictor as a program that needs no pdr-jax, and in Hugging Face's layout.

    Args:
        run_folder: A run folder; its best checkpoint is exported.
        out: A new folder: config.json, model.safetensors, README.md (the model card; its license is
            left to you), predictor.stablehlo, and predict.py, which runs the latter.
        horizon: Frames that predictor.stablehlo predicts; by default as many as in training.
        platforms: Where it will run: cpu, cuda, rocm, tpu. None leaves it out.
    """
    check_target(out, horizon, platforms)
    with working(f"writing {out}"):
        from_pretrained(run_folder).save_pretrained(out, horizon=horizon, platforms=platforms)
    for path in sorted(out.iterdir()):
        size = path.stat().st_size
        print(f"{path}: {size / 1e6:.1f} MB" if size >= 1e6 else f"{path}: {size / 1e3:.1f} kB")
