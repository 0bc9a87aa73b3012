import pytest

from distill.formats import misfit

OBJECT = {"response_format": {"type": "json_object"}}


def schema(value):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": value}}}


CITY = schema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


@pytest.mark.parametrize(
    ("params", "answer", "found"),
    [
        ({}, "free text", None),
        ({"response_format": None}, "free text", None),
        ({"response_format": {"type": "text"}}, "free text", None),
        (OBJECT, '{"a": 1}', None),
        (OBJECT, "[1]", "no JSON"),
        (OBJECT, '```json\n{"a": 1}\n```', "no JSON"),
        (OBJECT, "[" * 100_000, "no JSON"),
        (CITY, '{"city": "Ulm"}', None),
        (CITY, '{"city": 1}', "against its schema"),
        (CITY, "{}", "against its schema"),
        (CITY, "Ulm", "no JSON"),
    ],
)
def test_what_an_answer_lacks(params, answer, found):
    assert misfit(params, answer) == found


def test_a_schema_that_is_none_asks_for_json_only():
    assert misfit(schema({"type": "nonsense"}), "{}") is None
    assert misfit(schema({"type": "nonsense"}), "{") == "no JSON"
    assert misfit({"response_format": {"type": "json_schema"}}, "{}") is None


def test_what_a_schema_refers_to_is_asked_of_nobody(monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("the network was asked"))
    assert misfit(schema({"$ref": "https://example.com/schema.json"}), "{}") is None
    assert misfit(schema({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}), "{}") == "against its schema"
