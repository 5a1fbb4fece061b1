"""Whether a run's parameters have met a data set under the other protocol before."""

from pathlib import Path

import pdr_datasets
from pdr_jax.recipes import Recipe
from pdr_jax.runs.folder import read_data, read_recipe


def protocol_note(run: Path, recipe: Recipe) -> str:
    """A warning if test clips may have been trained on; "" if there is nothing to know.

    That is so if this run, or a run that it started from, trained on the recipe's data set under
    the other protocol. Imported weights count as trained under "openstl".
    """
    lineage = [(read_recipe(run).protocol, read_data(run))]
    while origin := lineage[-1][1].get("init_from"):
        lineage.append((origin.get("protocol"), origin["data"]))
    learnt_under = {
        "openstl" if "imported" in data else protocol
        for protocol, data in lineage
        if data.get("dataset") == recipe.dataset
    }
    other = "standard" if recipe.protocol == "openstl" else "openstl"
    if other not in learnt_under:
        return ""
    if "protocol" in pdr_datasets.options(recipe.dataset):
        effect = (
            f"{recipe.dataset} has other parts and other frames under each, so that test clips "
            f"may have been trained on: see the data set's card"
        )
    elif other == "openstl":
        effect = "held-out clips were trained on, and the test clips chose the checkpoint"
    else:
        return ""
    return f"Parameters trained under protocol {other!r} meet {recipe.protocol!r}: {effect}."
