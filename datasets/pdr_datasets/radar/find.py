"""Finds radar files in a folder and puts their maps in the order of time."""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pdr_datasets.radar import gridded, hdf5, images
from pdr_datasets.radar.about import FILE, About, read_about
from pdr_datasets.radar.fields import FieldFile

_GRIB = (".grib", ".grib2", ".grb", ".grb2", ".grib.gz", ".grib2.gz")
EXPECTED_FILES = (
    "Radar maps of one area, with one or more times in a file: ODIM_H5 or KNMI's "
    f"HDF5 ({', '.join(hdf5.SUFFIXES)}), NetCDF ({', '.join(gridded.SUFFIXES)}), or images "
    f"({', '.join(images.SUFFIXES)}) with a file {FILE} that says what their pixels mean.\n"
    "Put them into the folder manual_dir, or below it."
)


class Place(NamedTuple):
    """One map: the file that holds it, which one of it, and its time."""

    file: FieldFile
    number: int
    time: np.datetime64


def find_maps(folder: Path) -> list[Place]:
    """The maps of all radar files in a folder and below, in the order of time.

    Names that begin with a dot, and files of other kinds, are left out.

    Raises:
      FileNotFoundError: there are none.
      OSError: a file is damaged.
      ValueError: there are GRIB files, a file holds something else, or a time is there twice.
    """
    about = read_about(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    if gribs := [path for path in paths if path.name.lower().endswith(_GRIB)]:
        raise ValueError(
            f"{gribs[0]} is a GRIB file, which is not read: convert it to NetCDF, as with "
            "cdo -f nc4 copy or wgrib2 -netcdf."
        )
    places = []
    for path in paths:
        file = _open(path, folder, about)
        if file is not None:
            places += [Place(file, number, time) for number, time in enumerate(file.times)]
    if not places:
        raise FileNotFoundError(f"{str(folder)!r} holds no radar files.\n{EXPECTED_FILES}")
    places.sort(key=lambda place: (place.time, place.file.path))
    for first, second in itertools.pairwise(places):
        if first.time == second.time:
            raise ValueError(
                f"{first.time} is there twice: {first.file.path} and {second.file.path}. Keep one."
            )
    return places


def _open(path: Path, folder: Path, about: About) -> FieldFile | None:
    name = path.name.lower()
    if name.endswith(images.SUFFIXES):
        return images.open_image(path, folder, about)
    if name.endswith(hdf5.SUFFIXES):
        return hdf5.open_hdf5(path, about)
    if name.endswith(gridded.SUFFIXES):
        return gridded.open_netcdf(path, about)
    return None
