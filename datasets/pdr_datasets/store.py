"""TFDS builds on disk: made whole or not at all, without TensorFlow or network, and opened."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pdr_datasets import originals
from pdr_datasets.dataset import FirstFrames, Source, VideoDataset, check_lengths
from pdr_datasets.lock import exclusive
from pdr_datasets.places import expand


def default_data_dir() -> Path:
    """$PDR_DATA_DIR, or ~/.cache/pdr_jax/datasets.

    Raises:
      OSError: neither is known; see `expand`.
    """
    if given := os.environ.get("PDR_DATA_DIR"):
        return expand("PDR_DATA_DIR", given)
    try:
        return expand("data_dir", "~/.cache/pdr_jax/datasets")
    except OSError as error:
        raise OSError(
            "data_dir is not given, and the home folder is not known (HOME is not set). Set "
            "PDR_DATA_DIR to a folder for data sets, or HOME."
        ) from error


def make_builder(builder_cls: Any, config: Any, data_dir: str | os.PathLike[str] | None) -> Any:
    """The TFDS builder of a configuration; its builds lie under `data_dir`."""
    from google.protobuf import json_format

    root = expand("data_dir", data_dir) if data_dir is not None else default_data_dir()
    # TFDS wants the predefined object itself where a configuration has a predefined name.
    named = builder_cls.builder_configs.get(config.name, config)
    try:
        with _quiet():
            return builder_cls(config=named, data_dir=root, file_format="array_record")
    # What TFDS raises on reading the files that describe a build.
    except (json_format.Error, AssertionError, KeyError, TypeError, ValueError, OSError) as error:
        folder = root / builder_cls.name / config.name / str(builder_cls.VERSION)
        if not folder.exists():
            raise
        reason = str(error).partition("\n")[0]
        raise OSError(
            f"{folder} is damaged: {reason}. Remove this folder and prepare the data set again."
        ) from error


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

    Raises:
      OSError: the folder cannot be written or locked, or the disk is full.
    """
    final = Path(builder.data_dir)
    if is_prepared(builder):
        return final
    shared = final.parents[1]  # the folder of all configurations
    shared.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(shared / ".lock"):
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
            made_of = None if manual_dir is None else originals.listing(Path(manual_dir))
            try:
                _run(builder, manual_dir, progress)
                if made_of is not None:
                    originals.record(final, made_of)
            finally:
                _tidy(final.parent)
    finally:
        with contextlib.suppress(OSError):  # not empty if it holds builds
            shared.rmdir()
    return final


def _tidy(configuration: Path) -> None:
    """Removes what TFDS leaves where a build failed, an interrupted one too."""
    with contextlib.suppress(OSError):  # not empty if it holds a build
        configuration.rmdir()
    shared = configuration.parent
    if not any(place.is_dir() and place.name != ".config" for place in shared.iterdir()):
        shutil.rmtree(shared / ".config", ignore_errors=True)


def open_build(builder: Any, in_length: int | None, out_length: int | None) -> VideoDataset:
    """Opens a prepared build; lengths shorter than stored serve each clip's first frames.

    Raises:
      ValueError: in_length + out_length is longer than the stored clips.
      OSError: a file of the build is missing or damaged.
    """
    if not builder.info.initialized:  # another process built it after this builder was made
        builder.info.read_from_directory(builder.data_dir)
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
    try:
        sources, scaling, overlap = builder.sources(), builder.scaling(), builder.overlap()
        remarks = builder.remarks()
    except (KeyError, json.JSONDecodeError) as error:
        raise OSError(
            f"{Path(builder.data_dir) / 'metadata.json'} is missing or damaged: {error}. Remove "
            "its folder and prepare the data set again."
        ) from error
    splits: dict[str, Source] = {}
    for name, source in sources.items():
        splits[name] = source if length == stored else FirstFrames(source, length)
    return VideoDataset(
        name=builder.name,
        config=config.name,
        splits=splits,
        in_length=in_length,
        out_length=out_length,
        frame_shape=builder.info.features["frames"].shape[-3:],
        overlap=overlap,
        **scaling,
        **remarks,
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
