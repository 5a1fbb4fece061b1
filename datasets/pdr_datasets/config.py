"""What the configurations of all data sets share: a name for every choice of options, and back."""

import dataclasses
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import tensorflow_datasets as tfds

from pdr_datasets.dataset import check_lengths

LONGEST = 10_000  # frames of a clip; a bound on what one mistyped number allocates


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """One variant of a data set. Every field of a subclass is an option; `name` tells them.

    Attributes:
      DATA: the data set's name.
      PATTERN: matches the names of variants; see `read`.
      EXAMPLE: options of a variant that the message about a bad name shows beside the default.
      AT_OPENING: options that change nothing that is stored; names do not tell them.
      in_length: frames given.
      out_length: frames to predict.
    """

    DATA: ClassVar[str]
    PATTERN: ClassVar[re.Pattern[str]]
    EXAMPLE: ClassVar[Mapping[str, Any]] = {}
    AT_OPENING: ClassVar[tuple[str, ...]] = ()
    name: str = ""
    in_length: int = 10
    out_length: int = 10

    def __post_init__(self) -> None:
        check_lengths(self.in_length, self.out_length)
        if self.length > LONGEST:
            raise ValueError(
                f"{self.DATA}: in_length={self.in_length}, out_length={self.out_length}: expected "
                f"at most {LONGEST} frames in all."
            )

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Names of the options, in_length and out_length among them."""
        inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
        return tuple(f.name for f in dataclasses.fields(cls) if f.name not in inherited)

    @property
    def length(self) -> int:
        """Frames of a clip: in_length + out_length."""
        return self.in_length + self.out_length

    def check_whole_numbers(self, limits: Mapping[str, tuple[int, int]]) -> None:
        """Raises ValueError unless each of these options is a whole number within its limits."""
        for option, (low, high) in limits.items():
            value = getattr(self, option)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(
                    f"{self.DATA}: {option}={value!r}: expected a whole number from {low} to "
                    f"{high}."
                )

    def check_one_of(self, known: Mapping[str, Collection[str]]) -> None:
        """Raises ValueError unless each of these options is one of its known values."""
        for option, values in known.items():
            if getattr(self, option) not in tuple(values):
                raise ValueError(
                    f"{self.DATA}: {option}={getattr(self, option)!r}: expected one of "
                    f"{', '.join(values)}."
                )

    @classmethod
    def parse(cls, name: str) -> Self:
        """The configuration of that name.

        Raises:
          ValueError: if the name does not have the form of `Config().name`.
        """
        match = cls.PATTERN.fullmatch(name)
        if match is None:
            shown = [cls()] + ([cls(**cls.EXAMPLE)] if cls.EXAMPLE else [])
            examples = " or ".join(repr(config.name) for config in shown)
            raise ValueError(f"{cls.DATA}: config={name!r}: expected a name such as {examples}.")
        return cls(**cls.read(match.groupdict()))

    @classmethod
    def read(cls, groups: Mapping[str, Any]) -> dict[str, Any]:
        """PATTERN's named groups -> the options they stand for, by default those of their names.

        A group that is not there leaves the option at its default.
        """
        kinds: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(cls)}
        return {name: kinds[name](text) for name, text in groups.items() if text is not None}
