"""The page of `experiments.adaptive`: whether placing a budget of Gaussians pays."""

from collections.abc import Mapping
from typing import Any

from experiments.pages.arms import ahead, by_label, spreads, standing
from experiments.pages.markdown import bullets, origin, page, paragraph, spread, table, words

Result = Mapping[str, Any]

HORIZON = "4 -> 4"
SHOWN = ("mse", "mae", "psnr", "ssim", "ssim_range1", "sharpness")


def document(result: Result) -> str:
    """The verdict and the tables."""
    runs = result["runs"]
    rows = [
        [f"**{label}**", f"{seeds[0]['parameters']:,}", *spreads(runs, HORIZON, label, SHOWN)]
        for label, seeds in by_label(runs).items()
    ]
    sizes = words([f"N = {n} with K = {window}" for n, window in result["windows"].items()])
    return page(
        "# A budget of Gaussians, placed by a predicted density\n",
        paragraph(
            f"Preset adaptive on moving sprites, 32x32x3, with budgets of {sizes}. Figures are "
            f"means over {len(result['seeds'])} seeds, and their span."
        ),
        origin(dict(result)),
        verdict(result),
        "## Given frames, no predictor\n",
        paragraph(
            f"The adapter draws frames that it is given; {result['fit_steps']} steps on MSE; MSE "
            "on other frames. On a grid (contrast 0) adaptive differs by its places alone."
        ),
        _frames(result),
        paragraph("Weights of adaptive draw with other budgets than that of their training, too:"),
        _budgets(result),
        f"## Behind a narrow TAU, {HORIZON}\n",
        f"{runs[0]['steps']} steps, L1 + SSIM.\n",
        table(["", "parameters", *SHOWN], rows),
    )


def verdict(result: Result) -> str:
    """Whether it pays: ahead of conv, and of itself on a grid, in mse with every seed."""
    runs, budgets = result["runs"], list(result["windows"])
    (adaptive,) = (label for label in by_label(runs) if label.startswith("PDR adaptive, N"))
    grid, conv = (adaptive.replace("adaptive", name) for name in ("adaptive, grid", "conv"))
    seeds = len(by_label(runs)[adaptive])
    won = [ahead(runs, HORIZON, adaptive, other, "mse") == seeds for other in (conv, grid)]
    told = {
        (True, True): "It pays here: in mse it is ahead of conv and of its own grid.",
        (True, False): "Its places do not pay here: it is ahead of conv in mse, but not of "
        "its own grid with every seed, so the gain is not that of places.",
        (False, True): "It does not pay here: in mse it is ahead of its own grid, but not of conv.",
        (False, False): "It does not pay here: it is ahead of neither conv nor its own grid in "
        "mse with every seed.",
    }[won[0], won[1]]
    alone = [
        f"Given frames, N = {budget}: its MSE is {_change(result, budget, 'conv', 'conv')}, and "
        f"{_change(result, budget, 'adaptive, grid', 'its own grid')}."
        for budget in budgets
    ]
    return bullets(
        f"Behind a predictor. {told} {adaptive} is {standing(runs, HORIZON, adaptive, conv, SHOWN)}"
        f"; {standing(runs, HORIZON, adaptive, grid, SHOWN)}; "
        f"{standing(runs, HORIZON, adaptive, 'plain', SHOWN)}; "
        f"{standing(runs, HORIZON, adaptive, 'mean Y', SHOWN)}.",
        f"{grid} is {standing(runs, HORIZON, grid, conv, SHOWN)}. Both adaptive arms see the last "
        "observed frame, which conv does not.",
        *alone,
    )


def _errors(result: Result, adapter: str, budget: str, drawn: str = "") -> list[float]:
    """MSE of given frames, one for each seed; `drawn` is the budget that they are drawn with."""
    return [
        row["mse"][drawn or budget]
        for row in result["frames"]
        if row["adapter"] == adapter and str(row["budget"]) == budget
    ]


def _change(result: Result, budget: str, other: str, name: str) -> str:
    """Such as "12% below that of conv (lower with 3 of 3 seeds)"."""
    mine, theirs = (_errors(result, name, budget) for name in ("adaptive", other))
    change = sum(mine) / sum(theirs) - 1
    lower = sum(a < b for a, b in zip(mine, theirs, strict=True))
    return (
        f"{abs(change):.0%} {'below' if change < 0 else 'above'} that of {name} "
        f"(lower with {lower} of {len(mine)} seeds)"
    )


def _frames(result: Result) -> str:
    parameters = {
        (row["adapter"], str(row["budget"])): row["parameters"] for row in result["frames"]
    }
    rows = [
        [f"{name}, N = {budget}", f"{count:,}", spread(_errors(result, name, budget))]
        for (name, budget), count in parameters.items()
    ]
    return table(["", "parameters", "MSE"], rows)


def _budgets(result: Result) -> str:
    """A row for each arm that was drawn with several budgets."""
    drawn = {
        (row["adapter"], str(row["budget"])): sorted(row["mse"], key=int)
        for row in result["frames"]
        if len(row["mse"]) > 1
    }
    header = next(iter(drawn.values()))
    rows = [
        [f"{name}, trained with {budget}"]
        + [spread(_errors(result, name, budget, count)) for count in counts]
        for (name, budget), counts in drawn.items()
    ]
    return table(["MSE, drawn with N =", *header], rows)
