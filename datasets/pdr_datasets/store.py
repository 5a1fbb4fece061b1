"""TFDS builds on disk: made whole or not at all, without TensorFlow or network, and opened."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from pdr_datasets.dataset import FirstFrames, Source, VideoDataset, check_lengths


def default_data_dir() -> Path:
    """$PDR_DATA_DIR, or ~/.cache/pdr_jax/datasets."""
    return Path(os.environ.get("PDR_DATA_DIR") or "~/.cache/pdr_jax/datasets").expanduser()


def make_builder(builder_cls: Any, config: Any, data_dir: str | os.PathLike[str] | None) -> Any:
    """The TFDS builder of a configuration; its builds lie under `data_dir`."""
    root = Path(data_dir).expanduser() if data_dir is not None else default_data_dir()
    # TFDS wants the predefined object itself where a configuration has a predefined name.
    named = builder_cls.builder_configs.get(config.name, config)
    with _quiet():
        return builder_cls(config=named, data_dir=root, file_format="array_record")


def is_prepared(builder: Any) -> bool:
    """Whether the build is on disk. It is complete then: TFDS renames it into place at the end."""
    return (Path(builder.data_dir) / "dataset_info.json").is_file()


def prepared_configs(builder: Any) -> list[str]:
    """Names of the data set's configurations on disk, in the builder's version."""
    folder = Path(builder.data_dir_root) / builder.name
    version = str(builder.version)
    return sorted(p.parent.parent.name for p in folder.glob(f"*/{version}/dataset_info.json"))


def prepare_build(
    builder: Any,
    *,
    manual_dir: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Path:
    """Builds the data set unless it is on disk already.

    One process builds at a time. What a killed process left behind is removed first.

    Returns:
      The folder of the build.
    """
    final = Path(builder.data_dir)
    if is_prepared(builder):
        return final
    shared = final.parents[1]  # the folder of all configurations
    shared.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(shared / ".lock"):  # dropped by the system if the process dies
        if is_prepared(builder):  # built by another process while this one waited
            builder.info.read_from_directory(final)
            return final
        for stale in shared.glob("*/incomplete.*"):
            shutil.rmtree(stale)
        if final.exists():  # without dataset_info.json, so not a build of TFDS
            raise FileExistsError(
                f"{final} exists and holds no complete build of {builder.name}. Remove it, or "
                "choose another data_dir."
            )
        try:
            _run(builder, manual_dir, progress)
        except BaseException:  # an interrupt too; TFDS removes its temporary folder itself
            with contextlib.suppress(OSError):  # not empty if it holds other versions
                final.parent.rmdir()
            raise
    return final


def open_build(builder: Any, in_length: int | None, out_length: int | None) -> VideoDataset:
    """Opens a prepared build; lengths shorter than stored serve each clip's first frames.

    Raises:
      ValueError: in_length + out_length is longer than the stored clips.
    """
    config = builder.builder_config
    in_length = config.in_length if in_length is None else in_length
    out_length = config.out_length if out_length is None else out_length
    check_lengths(in_length, out_length)
    stored = config.length
    length = in_length + out_length
    if length > stored:
        raise ValueError(
            f"in_length={in_length}, out_length={out_length}: the clips of {builder.name} "
            f"{config.name!r} hold {stored} frames. Ask for {stored} or fewer in all, or prepare "
            "a configuration with these lengths."
        )
    splits: dict[str, Source] = {}
    for name, source in builder.sources().items():
        splits[name] = source if length == stored else FirstFrames(source, length)
    return VideoDataset(
        name=builder.name,
        config=config.name,
        splits=splits,
        in_length=in_length,
        out_length=out_length,
        frame_shape=builder.info.features["frames"].shape[-3:],
        note=(builder.info.metadata or {}).get("note", ""),
        overlap=builder.overlap(),
        **builder.scaling(),
    )


def _run(builder: Any, manual_dir: str | os.PathLike[str] | None, progress: bool) -> None:
    import tensorflow_datasets as tfds

    with (
        _progress(f"{builder.name} {builder.builder_config.name}", progress) as report,
        tempfile.TemporaryDirectory() as downloads,  # TFDS makes this folder in any case
        _quiet(),
    ):
        builder.report = report
        builder.download_and_prepare(
            download_dir=downloads,
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir, try_download_gcs=False, verify_ssl=True
            ),
        )


@contextlib.contextmanager
def _progress(title: str, enabled: bool) -> Iterator[Callable[[int, int], None]]:
    """Yields report(done, total), which moves a bar on standard error if enabled."""
    if not enabled:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences TFDS: its lines on standard output, its progress bars and its log messages."""
    import tensorflow_datasets as tfds
    from absl import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        logging.set_verbosity(verbosity)
