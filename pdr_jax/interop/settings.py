"""Which value of an imported run came from where, and names of settings that nothing reads."""

import contextlib
import difflib
from collections.abc import Mapping, Set
from typing import Any

from pdr_jax import backbones
from pdr_jax.interop import entries
from pdr_jax.interop.family import Family

# Entries of a configuration that are looked at whatever the model.
GENERAL = {
    *("method", "model_type", "in_shape", "dataname"),
    *("pre_seq_length", "pre_seq", "aft_seq_length", "after_seq"),
}
# What some models have in place of in_shape.
_APART = dict.fromkeys(("pre_seq", "num_channels", "height", "width"), 1)
# What a data set stands for where nothing else is said, and the entries that say it: of those
# that one configuration has the first counts.
_OF_DATA = {
    "T": ("in_shape", "pre_seq_length", "pre_seq"),
    "H": ("in_shape", "height"),
    "W": ("in_shape", "width"),
    "C": ("in_shape", "num_channels"),
    "out_length": ("aft_seq_length", "after_seq"),
    "stored units": (),
}


def sources(
    values: Mapping[str, Any],
    *,
    told: Set[str],
    given: Mapping[str, Any],
    saved: Mapping[str, Any],
    dataset: str,
) -> dict[str, dict[str, Any]]:
    """Values by where they came from: one that was assumed may be wrong and yet fit the weights.

    Args:
      values: of the run, by name: hyperparameters and what `_OF_DATA` has.
      told: names of those that the weights tell.
      given: entries of the configuration, and values, that were said.
      saved: entries of the configuration that the checkpoint has.
      dataset: its name.
    """
    assumed = f"assumed from {dataset}"
    stored = "from the checkpoint's settings"
    places = ("from the weights", stored, "given", assumed, "by default")
    found: dict[str, dict[str, Any]] = {place: {} for place in places}
    for name, value in values.items():
        keys = {name, *_OF_DATA.get(name, ())}
        if keys & given.keys():
            place = "given"
        elif keys & saved.keys():
            place = stored
        elif name in told:
            place = "from the weights"
        else:
            place = assumed if name in _OF_DATA else "by default"
        found[place][name] = value
    return {place: entries for place, entries in found.items() if entries}


def check_settings(
    name: str, kind: Family, settings: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """Raises ValueError for a setting that nothing looks at in a configuration of `kind`."""
    asked = _Asked(config)
    with contextlib.suppress(KeyError, ValueError):  # what is absent or wrong is said later
        kind.options(asked)
    known = GENERAL | asked.names | set(backbones.hyperparameters(kind.backbone))
    with contextlib.suppress(KeyError):
        kind.in_shape(_APART)
        known |= _APART.keys()
    for setting in settings:
        if setting not in known:
            close = difflib.get_close_matches(setting.lower(), map(str.lower, known), n=1)
            meant = [k for k in sorted(known) if k.lower() in close]
            hint = f" (did you mean {meant[0]!r}?)" if meant else ""
            raise ValueError(
                f"settings.{setting}{hint}: {name} has no such setting; expected one of "
                f"{', '.join(sorted(known - {'dtype', 'faithful'}))}"
            )


def check_used(
    values: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    flags: Mapping[str, Any],
) -> None:
    """Raises ValueError for an entry that was given and says something else than what is used.

    Args:
      values: of the run, see `sources`.
      settings: entries that were given one by one; they must all agree.
      config: of the configuration, which counts where neither settings nor `flags` say a value.
      flags: values that were given under those names, or None.
    """
    given = {**config, **settings}
    claims = [(key, key) for key in settings if isinstance(values.get(key), int | float)]
    for name, keys in _OF_DATA.items():
        said = [key for key in keys if key in settings]
        if not said and not flags.get(name):
            said = [key for key in keys if key in config][:1]
        claims += [(key, name) for key in said]
    for key, name in claims:
        shape = key == "in_shape"
        value = entries.in_shape(given)["TCHW".index(name)] if shape else given[key]
        if value != values[name]:
            raise ValueError(
                f"{key} = {given[key]!r} is given, but {name} = {values[name]} is what is used: "
                "leave it out, or make the weights, the other entries and the data set agree"
            )


class _Asked(dict[str, Any]):
    """A configuration that remembers which entries were looked for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)
