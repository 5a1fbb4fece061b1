"""`pdr data`."""

import dataclasses
import inspect
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

import pdr_datasets
from pdr_datasets.catalogue import configuration


def data(
    command: tyro.conf.Positional[Literal["list", "info", "prepare"]],
    name: tyro.conf.Positional[str] = "",
    manual_dir: str | None = None,
    data_dir: Path | None = None,
    config: str | None = None,
    skip_broken: bool = False,
    **options: Any,
) -> None:
    """List the data sets, show one's card, or prepare one.

    Args:
        command: What to do.
        name: A data set, for info and prepare. Its own options: pdr data prepare NAME --help.
        manual_dir: Where the official files lie, for data sets that must be fetched by hand; for
            weatherbench also a URL; for videos also a pattern or a CSV file.
        data_dir: Where prepared data sets go.
        config: The variant to prepare, by its name; the benchmark's by default.
        skip_broken: Leave out broken and short videos, and name them beside all results.
    """
    if command == "list":
        for known in pdr_datasets.names():
            first_paragraph = " ".join(pdr_datasets.info(known).split("\n\n")[1].split())
            print(f"{known:<16}{first_paragraph.partition('. ')[0].rstrip('.')}")
    elif not name:
        known = ", ".join(pdr_datasets.names())
        raise ValueError(f"name is missing: pdr data {command} NAME, with one of {known}")
    elif command == "info":
        print(pdr_datasets.info(name))
    else:
        place: dict[str, Any] = {"data_dir": data_dir, "config": config, **options}
        start = time.time()
        path = pdr_datasets.prepare(
            name, manual_dir=manual_dir, skip_broken=skip_broken, progress=True, **place
        )
        if (path / "dataset_info.json").stat().st_mtime < start:
            print(f"prepared before: {path}; remove that folder to build it anew")
        else:
            print(f"prepared: {path}")
        dataset = pdr_datasets.load(name, **place)
        for text in filter(None, (dataset.reading, dataset.note)):
            print(f"note: {text}")


def data_command(argv: list[str]) -> Callable[..., None]:
    """`data`, which has the options of the data set that the command line prepares."""
    name = "".join(argv[2:3]) if argv[:2] == ["data", "prepare"] else ""
    known = {"arrays", *pdr_datasets.names()} - {"arrays"}  # which needs no preparation
    cls = configuration(name) if name in known else None
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name in cls.options()} if cls else {}

    def chosen(*arguments: Any, **given: Any) -> None:
        default = [n for n, field in fields.items() if n in given and given[n] == field.default]
        data(*arguments, **{n: value for n, value in given.items() if n not in default})

    signature = inspect.signature(data)
    parameters = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
        for n, f in fields.items()
    ]
    text = inspect.cleandoc(data.__doc__ or "")
    if cls:
        _, _, described = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
        text += "\n" + textwrap.indent(described, "  ")
    chosen.__doc__ = text
    chosen.__annotations__ = {p.name: p.annotation for p in parameters}
    vars(chosen)["__signature__"] = signature.replace(parameters=parameters)
    return chosen
