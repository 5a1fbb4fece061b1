"""What the configurations of the data sets share: a name for every choice of options, and back."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import tensorflow_datasets as tfds


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """One variant of a data set; its name is a function of its options.

    Attributes:
      DATA: the data set's name.
      OPTIONS: names of the options, in_length and out_length among them.
      PATTERN: of the names of variants; see `read`.
      EXAMPLE: options of a variant that is shown, besides the default, where a name is refused.
    """

    DATA: ClassVar[str]
    OPTIONS: ClassVar[tuple[str, ...]]
    PATTERN: ClassVar[re.Pattern[str]]
    EXAMPLE: ClassVar[Mapping[str, Any]] = {}
    name: str = ""

    def check_whole_numbers(self, limits: Mapping[str, tuple[int, int]]) -> None:
        """Raises ValueError unless each of these options is a whole number within its limits."""
        for option, (low, high) in limits.items():
            value = getattr(self, option)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(
                    f"{self.DATA}: {option}={value!r}: expected a whole number from {low} to "
                    f"{high}."
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
        """The options that the groups of PATTERN stand for; by default whole numbers all."""
        return {option: int(text) for option, text in groups.items()}
