"""`pdr data`."""

import time
from pathlib import Path
from typing import Literal

import tyro

import pdr_datasets


def data(
    command: tyro.conf.Positional[Literal["list", "info", "prepare"]],
    name: tyro.conf.Positional[str] = "",
    manual_dir: str | None = None,
    data_dir: Path | None = None,
    config: str | None = None,
) -> None:
    """List the data sets, show one's card, or prepare one.

    Args:
        command: What to do.
        name: A data set, for info and prepare.
        manual_dir: Where the official files lie, for data sets that must be fetched by hand; for
            weatherbench also a URL.
        data_dir: Where prepared data sets go.
        config: The variant to prepare; the benchmark's by default.
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
        start = time.time()
        path = pdr_datasets.prepare(
            name, data_dir=data_dir, manual_dir=manual_dir, config=config, progress=True
        )
        if (path / "dataset_info.json").stat().st_mtime < start:
            print(f"prepared before: {path}; remove that folder to build it anew")
        else:
            print(f"prepared: {path}")
        if note := pdr_datasets.load(name, data_dir=data_dir, config=path.parent.name).note:
            print(f"note: {note}")
