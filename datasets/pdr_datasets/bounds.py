"""A bound on what files claim: a few bytes cannot make a program allocate or read terabytes."""

ALWAYS = 2**30  # bytes that anything may claim
RATIO = 100  # beyond that, how many times the bytes that it holds


class ClaimError(ValueError):
    """Something claims to be far more than it holds."""


def check_claim(
    what: str,
    claimed: int,
    held: int,
    remedy: str = "It is damaged or, if not, has to be saved without compression, as .npy.",
) -> None:
    """Raises ClaimError if `claimed` bytes are over 1 GiB and over 100 times the `held` ones."""
    if claimed > max(ALWAYS, RATIO * held):
        raise ClaimError(
            f"{what} claims {claimed / 2**30:,.1f} GiB and holds {held} bytes: expected at most "
            f"{RATIO} times what it holds, or 1 GiB. {remedy}"
        )
