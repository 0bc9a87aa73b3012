"""How a request is decoded, and the modes that a window is enough for."""

from ledger.modes import FREE, certifiable, decoding_mode

JSON = {"response_format": {"type": "json_object"}}


def schema(**properties):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": properties}}}


def test_what_masks_nothing_is_free():
    assert {decoding_mode(params) for params in ({}, {"response_format": {"type": "text"}}, {"max_tokens": 4})} == {
        FREE
    }


def test_each_schema_is_a_mode_of_its_own_whatever_the_order_of_its_keys():
    assert decoding_mode(JSON) == "json_object"
    assert decoding_mode(schema(a=1, b=2)) == decoding_mode(schema(b=2, a=1)) != decoding_mode(schema(a=1))
    assert " " not in decoding_mode(schema(a=1))


def test_tools_that_only_the_teacher_reads_are_a_mode_of_their_own():
    assert decoding_mode({"tools": [{"type": "function"}], "tool_choice": "none"}) == "free+tools"
    assert decoding_mode({"tools": []}) == FREE


def test_a_mode_that_is_rare_in_the_window_is_not_certified():
    assert certifiable([{}] * 95 + [JSON] * 5) == {FREE, "json_object"}
    assert certifiable([{}] * 96 + [JSON] * 4) == {FREE}
    assert certifiable([]) == frozenset()
