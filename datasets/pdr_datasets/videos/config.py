"""The options of videos, and the names that tell them."""

import dataclasses
import re
from typing import ClassVar

from pdr_datasets.config import VideoConfig
from pdr_datasets.videos.frames import CHANNELS
from pdr_datasets.videos.images import WHITE
from pdr_datasets.videos.split import RULES

_FRACTION = r"\d[\d.e-]*"


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by the options that change what is stored.

    Attributes:
      height: of the stored frames, in pixels; others are stretched to it by Pillow's bilinear
        filter, which averages when shrinking.
      width: of the stored frames, likewise.
      channels: "rgb" or "grey" (luma).
      every: of how many frames one is taken.
      white: the value of 16-bit grey frames that becomes 255; larger ones do, too.
      split: "file" draws the part of every video; "prefix" that of all whose file names begin with
        the same text before the first "_", as a person's; "csv" takes it from a CSV file.
      test_fraction: share of the videos, or prefixes, for testing (not with "csv").
      val_fraction: share of the videos, or prefixes, for validation (not with "csv").
      seed: of the draw.
      in_length: frames given.
      out_length: frames to predict.
      stride: frames between the starts of neighbouring clips for training. Clips for validation and
        testing share no frame.
    """

    DATA: ClassVar = "videos"
    AT_OPENING: ClassVar = ("in_length", "out_length", "stride")
    PATTERN: ClassVar = re.compile(
        rf"(?P<height>\d+)x(?P<width>\d+)_(?P<channels>{'|'.join(CHANNELS)})"
        r"(?:_every(?P<every>\d+))?(?:_white(?P<white>\d+))?_(?P<split>file|prefix|csv)"
        rf"(?:_(?P<test_fraction>{_FRACTION})test_(?P<val_fraction>{_FRACTION})val"
        r"_seed(?P<seed>\d+))?"
    )
    EXAMPLE: ClassVar = {"channels": "grey", "every": 2, "split": "csv"}
    height: int = 64
    width: int = 64
    channels: str = "rgb"
    every: int = 1
    white: int = WHITE
    split: str = "file"
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
                "every": (1, 10**6),
                "white": (1, WHITE),
                "seed": (0, 2**32 - 1),
                "stride": (1, 10**6),
            }
        )
        self.check_one_of({"channels": CHANNELS, "split": RULES})
        for option in ("test_fraction", "val_fraction"):
            share = getattr(self, option)
            if not isinstance(share, int | float) or not 0 <= share < 1:
                raise ValueError(f"videos: {option}={share!r}: expected at least 0 and below 1.")
        self.name = f"{self.height}x{self.width}_{self.channels}"
        self.name += f"_every{self.every}" if self.every > 1 else ""
        self.name += f"_white{self.white}" if self.white != WHITE else ""
        self.name += f"_{self.split}"
        if self.split != "csv":
            test, val = float(self.test_fraction), float(self.val_fraction)
            self.name += f"_{test!r}test_{val!r}val_seed{self.seed}"
