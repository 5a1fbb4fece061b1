"""Settings of an imported model: which are known, which contradict, where each value came from."""

import contextlib
import difflib
from collections.abc import Mapping, Set
from typing import Any

from pdr_jax import backbones
from pdr_jax.interop import entries
from pdr_jax.interop.family import Family

# Entries of a configuration that are read for every model.
_GENERAL = {
    *("method", "model_type", "in_shape", "dataname"),
    *("pre_seq_length", "pre_seq", "aft_seq_length", "after_seq"),
}
# Entries that some models have instead of in_shape.
_INSTEAD = dict.fromkeys(("pre_seq", "num_channels", "height", "width"), 1)
# Values that the data set decides if no entry of a configuration does -> such entries, of which the
# first that is present counts.
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
    """Sorts values by where they came from.

    Assumed values are worth checking: a wrong one may still fit the weights.

    Args:
      values: what is used, by name: hyperparameters and the keys of `_OF_DATA`.
      told: names of the values that the weights determine.
      given: the user's entries of the configuration, and values that the user gave by name.
      saved: the checkpoint's entries of the configuration.
      dataset: the name of the data set that the assumed values are taken from.

    Returns:
      Values by name, by their source in words; sources without values are left out.
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
    """Checks that a model knows the settings given for it.

    Args:
      name: the model type, for the message.
      kind: the model's family.
      settings: entries of a configuration.
      config: the whole configuration, with `settings` in it.

    Raises:
      ValueError: a setting is not known. The message lists those that are.
    """
    asked = _Asked(config)
    with contextlib.suppress(KeyError, ValueError):  # from_openstl reports what is missing or wrong
        kind.options(asked)
    known = _GENERAL | asked.names | set(backbones.hyperparameters(kind.backbone))
    with contextlib.suppress(KeyError):
        kind.in_shape(_INSTEAD)
        known |= _INSTEAD.keys()
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
    """Checks that the user's entries of a configuration agree with the values that are used.

    Args:
      values: what is used, see `sources`.
      settings: entries given one by one; all must agree.
      config: entries given as a file; they must agree if neither `settings` nor `flags` decide.
      flags: values given by name (keys of `_OF_DATA`), or None.

    Raises:
      ValueError: an entry disagrees with the value that is used.
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
                f"leave {key} out, or make the weights, the other entries and the data set agree"
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
