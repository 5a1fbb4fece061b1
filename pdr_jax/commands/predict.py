"""`pdr predict`."""

from pathlib import Path

import tyro

from pdr_jax.evaluation import pictures, prediction
from pdr_jax.runs import memory
from pdr_jax.runs.folder import recorded_dataset
from pdr_jax.runs.state import load


def predict(
    run_folder: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[Path],
    target: tyro.conf.Positional[Path],
    horizon: int | None = None,
    batch_size: int = 16,
    gif: Path | None = None,
) -> None:
    """Predict the frames that follow; no ground truth needed.

    Args:
        run_folder: A run folder.
        source: .npy of (N, T, H, W, C) or (T, H, W, C) frames in the data set's units.
        target: .npy for the predicted frames.
        horizon: Frames to predict; by default as many as in training.
        batch_size: Clips at a time.
        gif: Also writes the first clip, observed and predicted, as a GIF.
    """
    frames = prediction.read_frames(source)
    if gif is not None and len(frames) == 0:
        raise ValueError(f"gif: {source} holds no clip to draw; leave the option out")
    prediction.prepare_outputs(source, target, gif)
    task, state = load(run_folder, dataset=recorded_dataset(run_folder))
    for remark in prediction.remarks(task, frames):
        print(remark)
    with memory.told(batch_size):
        future = prediction.predict_file(
            task, state.variables(), frames, target, horizon=horizon, batch_size=batch_size
        )
    print(f"{target}: {future.dtype} {future.shape}")
    if gif is not None:
        pictures.draw_prediction(task, frames, future, gif)
        print(gif)
