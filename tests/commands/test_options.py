"""Values of options on a command line."""

import pytest

from pdr_jax.commands.options import parse_option


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64", 64),
        ("5e-4", 5e-4),
        ("false", False),
        ("False", False),
        ("null", None),
        ("None", None),
        ("[4, 2]", [4, 2]),
        ("(0, 1)", (0, 1)),
        ("'64'", "64"),
        ("gSTA", "gSTA"),
        ("a b", "a b"),
        ("clips.npy", "clips.npy"),
        ("128,128", (128, 128)),
        ("{[1]: 2}", "{[1]: 2}"),
        ("", ""),
    ],
)
def test_an_option_is_what_it_reads_as(text, value):
    parsed = parse_option(text)
    assert parsed == value
    assert type(parsed) is type(value)
