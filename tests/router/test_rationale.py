"""What a teacher thought, as its server tells it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rationale import MOST, Heard, kept, thought


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"content": "4", "reasoning_content": "2 and 2"}, "2 and 2"),
        ({"content": "4", "reasoning": "2 and 2"}, "2 and 2"),
        ({"content": "4", "reasoning_content": None, "reasoning": "2 and 2"}, "2 and 2"),
        ({"content": "4", "reasoning_content": "2 and 2", "reasoning": "2 and 2"}, "2 and 2"),
        ({"content": "4", "reasoning": {"effort": "low"}}, ""),
        ({"content": "4", "reasoning_content": ["2"]}, ""),
        ({"content": "4"}, ""),
    ],
)
def test_each_servers_name_of_it_is_read_and_what_is_no_text_is_none(said, found):
    assert thought(said) == found


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "x" * (MOST + 1)])
def test_all_of_it_is_kept_or_nothing(text):
    assert kept(text) is None
    assert kept("2 and 2") == "2 and 2" and kept("x" * MOST) == "x" * MOST


@given(st.lists(st.text(max_size=30), max_size=8), st.integers(0, 40))
def test_in_pieces_it_is_the_same_text_and_what_is_too_long_is_counted_but_not_held(pieces, most):
    heard, whole = Heard(), "".join(pieces)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("router.rationale.MOST", most)
        for piece in pieces:
            heard.add({"reasoning_content": piece})
        assert heard.characters == len(whole) and sum(map(len, heard._pieces)) <= most
        assert heard.text == (whole if 0 < len(whole) <= most else None)
        assert kept(heard.text or "") == kept(whole)
