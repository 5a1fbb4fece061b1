"""Data sets by name: listing, describing, preparing and opening them."""

import dataclasses
import importlib
import inspect
import os
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pdr_datasets.dataset import VideoDataset
from pdr_datasets.places import expand

# Built by TFDS, in the module <name>.<name>_dataset_builder. "arrays" needs no build.
_BUILDERS = (
    "bair",
    "bikenyc",
    "human36m",
    "kitticaltech",
    "kth",
    "moving_fmnist",
    "moving_mnist",
    "moving_sprites",
    "radar",
    "sevir",
    "taxibj",
    "taxinyc",
    "videos",
    "weatherbench",
)
_NEEDS_FILES = tuple(name for name in _BUILDERS if name != "moving_sprites")


class NotPreparedError(FileNotFoundError):
    """A configuration has to be prepared before it can be opened.

    Attributes:
      name: the data set's.
      config: the configuration's name.
      state: what is prepared, and what is not.
    """

    def __init__(self, name: str, config: str, data_dir: Any, prepared: Sequence[str]):
        self.state = (
            f"{name} {config!r} is not prepared in {data_dir}. Prepared there: "
            f"{', '.join(prepared) or 'none'}."
        )
        super().__init__(
            f"{self.state} Call pdr_datasets.prepare({name!r}, "
            f"config={config!r}, manual_dir=FOLDER), or open one of the prepared by its name, "
            "config=... (it serves shorter lengths than it stores, too)."
        )
        self.name = name
        self.config = config


def names() -> tuple[str, ...]:
    """Names of the data sets, sorted."""
    return tuple(sorted((*_BUILDERS, "arrays")))


def info(name: str) -> str:
    """The data card of a data set: source, licence, layout, splits (Markdown).

    Raises:
      ValueError: the name is unknown.
    """
    _check_name(name)
    return resources.files("pdr_datasets").joinpath(name, "README.md").read_text("utf-8")


def options(name: str) -> tuple[str, ...]:
    """Names of the options that `load` takes for a data set, without in_length and out_length.

    Raises:
      ValueError: the name is unknown.
    """
    _check_name(name)
    if name == "arrays":
        from pdr_datasets.arrays import open_arrays

        valid: Iterable[str] = inspect.signature(open_arrays).parameters
    else:
        valid = configuration(name).options()
    return tuple(option for option in valid if option not in ("in_length", "out_length"))


def configuration(name: str) -> Any:
    """The class of a data set's configurations, a dataclass: the options, their defaults, a text.

    Raises:
      ValueError: the name is unknown, or that of arrays, which has none.
    """
    _check_name(name)
    if name == "arrays":
        raise ValueError("arrays has no configurations: load('arrays', path=...) opens your file.")
    return _module(name).Config


def prepare(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    config: str | None = None,
    progress: bool = False,
    skip_broken: bool = False,
    **options: Any,
) -> Path:
    """Builds a data set on disk, unless it is there already.

    An interrupted build is never taken for complete.

    Args:
      name: see `names`.
      data_dir: where builds are kept; default $PDR_DATA_DIR or ~/.cache/pdr_jax/datasets.
      manual_dir: the folder with the files that you fetched yourself; weatherbench takes a URL too,
        videos a pattern, a list or a CSV file, see `pdr_datasets.videos.find.find_videos`.
      config: the name of a configuration, such as "64x64_10to20", instead of `options`.
      progress: whether to show a progress bar on standard error.
      skip_broken: whether broken videos, and those shorter than a clip, are left out before parts
        are drawn, and named in `VideoDataset.note`. Otherwise, and for other data sets, they are
        refused.
      **options: of the configuration: in_length, out_length, and those that `info` describes.

    Returns:
      The folder of the build.

    Raises:
      ValueError: the name or an option is unknown, or an option out of range.
      FileNotFoundError: files are missing; the message says which are expected.
    """
    _check_name(name)
    if name == "arrays":
        raise ValueError("arrays needs no preparation: load('arrays', path=...) opens your file.")
    from pdr_datasets import store

    builder = _builder(name, data_dir, config, options)
    if skip_broken and not builder.TAKES_PLACES:
        raise ValueError(f"skip_broken={skip_broken!r}: has a meaning for videos only.")
    if builder.TAKES_PLACES and manual_dir is not None:
        builder.place, builder.skip_broken = manual_dir, skip_broken
        folder = store.prepare_build(builder, progress=progress)
        builder.check_place(manual_dir)
        return folder
    if store.is_prepared(builder):
        return Path(builder.data_dir)
    if "://" in str(manual_dir) and builder.TAKES_URL:
        builder.url = str(manual_dir)
        return store.prepare_build(builder, progress=progress)
    # A list is refused here: only videos are found in one.
    manual = None if manual_dir is None else expand("manual_dir", manual_dir)  # type: ignore[arg-type]
    if manual is not None and not manual.is_dir():
        raise FileNotFoundError(f"manual_dir={str(manual)!r} is not a folder.")
    if name in _NEEDS_FILES and (manual is None or not any(manual.iterdir())):
        state = "not given" if manual is None else f"{str(manual)!r}, an empty folder"
        raise FileNotFoundError(
            f"manual_dir is {state}: {name} is built from files that you fetch yourself.\n"
            f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS}"
        )
    return store.prepare_build(builder, manual_dir=manual, progress=progress)


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    config: str | None = None,
    in_length: int | None = None,
    out_length: int | None = None,
    **options: Any,
) -> VideoDataset:
    """Opens a data set.

    Args:
      name: see `names`. moving_sprites is made on first use; arrays takes `path` or `array`, see
        `pdr_datasets.arrays.open_arrays`; all others have to be prepared.
      data_dir: as for `prepare`.
      config: the name of a prepared configuration, with which `options` have to agree. Then
        in_length and out_length may be shorter than stored: each clip's first frames are served.
        Videos are stored whole: they take any lengths, and the option stride.
      in_length: frames given. Without `config` it is one of the options.
      out_length: frames to predict, likewise.
      **options: as for `prepare`.

    Raises:
      ValueError: the name or an option is unknown, or an option out of range.
      NotPreparedError: the configuration has to be prepared first.
      FileNotFoundError: `path` is no file (arrays).
    """
    _check_name(name)
    if name == "arrays":
        from pdr_datasets.arrays import open_arrays

        _check_options(name, options, inspect.signature(open_arrays).parameters)
        for field, value in (("data_dir", data_dir), ("config", config)):
            if value is not None:
                raise ValueError(f"{field}={value!r}: has no meaning for arrays; leave it out.")
        return open_arrays(in_length=in_length, out_length=out_length, **options)
    from pdr_datasets import store

    lengths = {"in_length": in_length, "out_length": out_length}
    given = {field: value for field, value in lengths.items() if value is not None}
    if config is None or "in_length" in configuration(name).AT_OPENING:
        options = {**options, **given}
    builder = _builder(name, data_dir, config, options)
    if not store.is_prepared(builder):
        if name in _NEEDS_FILES:
            raise NotPreparedError(
                name,
                builder.builder_config.name,
                builder.data_dir_root,
                store.prepared_configs(builder),
            )
        store.prepare_build(builder)
    return store.open_build(builder, **lengths)


def _builder(
    name: str, data_dir: str | os.PathLike[str] | None, config: str | None, options: dict[str, Any]
) -> Any:
    from pdr_datasets import store

    module = _module(name)
    cls = module.Builder
    _check_options(name, options, module.Config.options())
    if config is not None:
        named = module.Config.parse(config)
        for option, value in options.items():
            if option not in module.Config.AT_OPENING and getattr(named, option, value) != value:
                raise ValueError(
                    f"{option}={value!r}: config={config!r} has {getattr(named, option)!r}; leave "
                    "one of them out, or let them agree."
                )
        named = dataclasses.replace(named, **options) if options else named
        return store.make_builder(cls, named, data_dir)
    return store.make_builder(cls, module.Config(**options), data_dir)


def _module(name: str) -> Any:
    return importlib.import_module(f"pdr_datasets.{name}.{name}_dataset_builder")


def _check_name(name: str) -> None:
    if name not in names():
        raise ValueError(f"name={name!r}: no such data set. There are: {', '.join(names())}.")


def _check_options(name: str, options: Any, valid: Any) -> None:
    for field in options:
        if field not in valid:
            raise ValueError(f"{name} has no option {field!r}. It has: {', '.join(valid)}.")
