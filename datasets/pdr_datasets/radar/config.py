"""The options of radar, and the names that tell them."""

import dataclasses
import re
from typing import ClassVar

from pdr_datasets.config import VideoConfig
from pdr_datasets.radar.events import RULES
from pdr_datasets.radar.rain import VALUES, Scale

_NUMBER = r"\d[\d.e-]*"
_CROP = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)")


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by the options that change what is stored.

    Attributes:
      height: of the stored maps, in pixels; others are averaged over each pixel's area, in mm/h.
      width: of the stored maps, likewise.
      crop: the part of each map that is used, as TOP-LEFT-HEIGHT-WIDTH in its own pixels; "" for
        all of it.
      values: "dbz" (reflectivity), "rate" (mm/h), or "db" (decibels of mm/h).
      threshold: mm/h; what is below counts as no rain.
      zr_a: of Z = a R^b between reflectivity and rain rate.
      zr_b: likewise.
      step: minutes between maps; 0 for the commonest.
      split: "event" draws the part of every event; "date" that of all which begin on a day; "last"
        tests on the last events.
      test_fraction: share of the events, or days, for testing.
      val_fraction: share of the events, or days, for validation.
      seed: of the draw.
      in_length: maps given.
      out_length: maps to predict.
      stride: maps between the starts of neighbouring clips for training. Clips for validation and
        testing share no map.
    """

    DATA: ClassVar = "radar"
    AT_OPENING: ClassVar = ("in_length", "out_length", "stride")
    PATTERN: ClassVar = re.compile(
        rf"(?P<height>\d+)x(?P<width>\d+)(?:_crop(?P<crop>{_CROP.pattern.replace('(', '(?:')}))?"
        rf"_(?P<values>{'|'.join(VALUES)})_(?P<threshold>{_NUMBER})mmh"
        rf"_z(?P<zr_a>{_NUMBER})r(?P<zr_b>{_NUMBER})(?:_step(?P<step>{_NUMBER}))?"
        rf"_(?P<split>{'|'.join(RULES)})_(?P<test_fraction>{_NUMBER})test"
        rf"_(?P<val_fraction>{_NUMBER})val_seed(?P<seed>\d+)"
    )
    EXAMPLE: ClassVar = {"height": 64, "width": 64, "values": "rate", "split": "date"}
    height: int = 128
    width: int = 128
    crop: str = ""
    values: str = "dbz"
    threshold: float = 0.1
    zr_a: float = 200.0
    zr_b: float = 1.6
    step: float = 0.0
    split: str = "event"
    test_fraction: float = 0.2
    val_fraction: float = 0.1
    seed: int = 0
    stride: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_whole_numbers(
            {
                "height": (8, 4096),
                "width": (8, 4096),
                "seed": (0, 2**32 - 1),
                "stride": (1, 10**6),
            }
        )
        self.check_one_of({"values": VALUES, "split": RULES})
        for option, low, high in (
            ("threshold", 1e-3, 100.0),
            ("zr_a", 1.0, 1e4),
            ("zr_b", 0.5, 5.0),
            ("step", 0.0, 1440.0),
            ("test_fraction", 0.0, 1.0),
            ("val_fraction", 0.0, 1.0),
        ):
            value = getattr(self, option)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(
                    f"radar: {option}={value!r}: expected a number from {low:g} to {high:g}."
                )
        box = _CROP.fullmatch(self.crop) if self.crop else None
        if self.crop and (box is None or min(int(box[3]), int(box[4])) < 1):
            raise ValueError(
                f"radar: crop={self.crop!r}: expected TOP-LEFT-HEIGHT-WIDTH, as 0-100-512-512."
            )
        self.name = f"{self.height}x{self.width}"
        self.name += f"_crop{self.crop}" if self.crop else ""
        self.name += f"_{self.values}_{float(self.threshold)!r}mmh"
        self.name += f"_z{float(self.zr_a)!r}r{float(self.zr_b)!r}"
        self.name += f"_step{float(self.step)!r}" if self.step else ""
        test, val = float(self.test_fraction), float(self.val_fraction)
        self.name += f"_{self.split}_{test!r}test_{val!r}val_seed{self.seed}"

    @property
    def scale(self) -> Scale:
        """What is stored."""
        return Scale(self.values, self.threshold, self.zr_a, self.zr_b)

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """`crop` in numbers: top, left, height, width."""
        found = _CROP.fullmatch(self.crop)
        if found is None:
            return None
        top, left, height, width = map(int, found.groups())
        return top, left, height, width
