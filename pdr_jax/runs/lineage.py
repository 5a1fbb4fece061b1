"""Whether a run's parameters were trained on a data set under the other protocol."""

from pathlib import Path

import pdr_datasets
from pdr_jax.recipes import Recipe
from pdr_jax.runs.folder import read_data, read_recipe


def protocol_note(run: Path, recipe: Recipe) -> str:
    """A warning if clips that are scored may have been used in training; else "".

    There is one if this run, or a run that it started from, was trained on the recipe's data set
    under the other protocol. Imported weights count as trained under "openstl".

    Args:
      run: the run folder.
      recipe: the recipe that the parameters are used with.
    """
    lineage = [(read_recipe(run).protocol, read_data(run))]
    while origin := lineage[-1][1].get("init_from"):
        lineage.append((origin.get("protocol"), origin["data"]))
    learnt_under = {
        "openstl" if "imported" in data else protocol
        for protocol, data in lineage
        if data.get("dataset") == recipe.dataset
    }
    # MCVD's protocol differs from the standard one in metrics alone.
    other = "standard" if recipe.protocol == "openstl" else "openstl"
    if other not in learnt_under:
        return ""
    if "protocol" in pdr_datasets.options(recipe.dataset):
        effect = (
            f"{recipe.dataset} has other splits and other frames under each protocol, and test "
            "clips may have been trained on; see the data set's card"
        )
    elif other == "openstl":
        effect = "held-out clips were trained on, and the test clips chose the checkpoint"
    else:
        return ""
    return (
        f"Parameters were trained under protocol {other!r} and are used under "
        f"{recipe.protocol!r}: {effect}."
    )
