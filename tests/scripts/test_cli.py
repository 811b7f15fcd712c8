"""How env seeds are written on a command line."""

import pytest

from thalweg.scripts.cli import UsageError, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("100", list(range(100))), ("1", [0]), ("7:9", [7, 8]), ("7:8", [7]), ("7,", [7]), ("1,5,9", [1, 5, 9]), ("5,1,", [5, 1])],
)
def test_a_number_is_so_many_seeds_and_a_list_is_itself(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "-3", "", ",", "5:5", "3:1", "a", "1,,2", "1,1", "-1,2", "1:2:3", "1.5"])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="100 "):
        parse_seeds(text)
