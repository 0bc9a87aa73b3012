import pytest

from distill.rows import TrainingRow
from ledger.texts import message_text


def test_variable_text_is_the_last_user_message():
    turns = [("system", "s"), ("user", "first"), ("assistant", "a"), ("user", "second"), ("assistant", "b")]
    row = TrainingRow("x", tuple({"role": role, "content": content} for role, content in turns), "", None)
    assert row.variable_text == "second"


def test_variable_text_of_a_row_without_a_user_is_empty():
    assert TrainingRow("x", ({"role": "system", "content": "s"},), "", None).variable_text == ""


def test_text_parts_are_joined_by_newlines():
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert message_text({"role": "user", "content": parts}) == "one\ntwo"
    assert message_text({"role": "assistant", "content": None}) == ""


def test_a_picture_is_refused():
    with pytest.raises(ValueError, match="image_url"):
        message_text({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]})
