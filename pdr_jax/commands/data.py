"""`pdr data`."""

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

import pdr_datasets
from pdr_datasets import originals
from pdr_datasets.catalogue import configuration
from pdr_jax.commands.columns import print_columns


def data_command(argv: list[str]) -> Callable[..., None]:
    """`data`, with the options of the data set that the command line prepares."""
    defaults = _options("".join(argv[2:3]) if argv[:2] == ["data", "prepare"] else "")
    fields = tyro.conf.arg(name="", prefix_name=False, constructor=type(defaults))

    def data(
        command: tyro.conf.Positional[Literal["list", "info", "prepare"]],
        name: tyro.conf.Positional[str] = "",
        manual_dir: str | None = None,
        data_dir: Path | None = None,
        config: str | None = None,
        skip_broken: bool = False,
        options: Annotated[Any, fields] = defaults,
    ) -> None:
        """List the data sets, show one's card, or prepare one.

        Args:
            command: What to do.
            name: A data set, for info and prepare. Its own options: pdr data prepare NAME --help.
            manual_dir: Where the official files lie, for data sets that must be fetched by hand;
                for weatherbench also a URL; for videos also a pattern or a CSV file.
            data_dir: Where prepared data sets go.
            config: The variant to prepare, by its name; the benchmark's by default.
            skip_broken: Leave out broken and short videos, and name them beside all results.
            options: Of the data set.
        """
        if command == "list":
            print_columns(((known, _sentence(known)) for known in pdr_datasets.names()), (16,))
        elif not name:
            known = ", ".join(pdr_datasets.names())
            raise ValueError(f"name is missing: pdr data {command} NAME, with one of {known}")
        elif command == "info":
            print(pdr_datasets.info(name))
        else:
            changed = {n: v for n, v in vars(options).items() if v != getattr(defaults, n)}
            place = {"data_dir": data_dir, "config": config, **changed}
            _prepare(name, manual_dir, skip_broken, place)

    return data


def _prepare(name: str, manual_dir: str | None, skip_broken: bool, place: dict[str, Any]) -> None:
    start = time.time()
    path = pdr_datasets.prepare(
        name, manual_dir=manual_dir, skip_broken=skip_broken, progress=True, **place
    )
    if (path / "dataset_info.json").stat().st_mtime < start:
        print(f"prepared before: {path}; remove that folder to build it anew")
        if manual_dir is not None and (changed := originals.difference(path, manual_dir)):
            print(f"note: it was made of other files than those in {manual_dir} now: {changed}")
    else:
        print(f"prepared: {path}")
    dataset = pdr_datasets.load(name, **place)
    for text in filter(None, (dataset.reading, dataset.note)):
        print(f"note: {_as_options(text, pdr_datasets.options(name))}")


def _as_options(note: str, known: Sequence[str]) -> str:
    """A note in which options of the data set, as white=4095, are those of the command line."""
    named = rf"(?<!\S)({'|'.join(known)})=(?=\w)"
    return re.sub(named, lambda found: f"--{found[1].replace('_', '-')} ", note)


def _sentence(name: str) -> str:
    """The first of a data set's card."""
    paragraph = " ".join(pdr_datasets.info(name).split("\n\n")[1].split())
    return paragraph.partition(". ")[0].rstrip(".")


def _options(name: str) -> Any:
    """The options of a data set at their defaults; none for a name that has nothing to prepare."""
    if name not in pdr_datasets.names() or name == "arrays":
        return dataclasses.make_dataclass("Options", [])()
    config = configuration(name)
    kept = [(f.name, f.type, f.default) for f in dataclasses.fields(config)]
    cls = dataclasses.make_dataclass("Options", [f for f in kept if f[0] in config.options()])
    cls.__doc__ = config.__doc__
    return cls()
