"""A bound on what files claim: a few bytes cannot make a program allocate or read terabytes."""

ALWAYS = 2**30  # bytes that anything may claim
RATIO = 100  # beyond that, how many times the bytes that it holds


def check_claim(what: str, claimed: int, held: int) -> None:
    """Raises ValueError if `claimed` bytes are over 1 GiB and over 100 times the `held` ones."""
    if claimed > max(ALWAYS, RATIO * held):
        raise ValueError(
            f"{what} claims {claimed / 2**30:,.1f} GiB of data and holds {held} bytes: expected at "
            f"most {RATIO} times as much, or 1 GiB. It is damaged or, if not, has to be stored "
            "less densely: an uncompressed .npy file has no such limit."
        )
