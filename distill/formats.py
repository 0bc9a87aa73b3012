"""Whether an answer is what its request's `response_format` asked for.

A grammar makes the student write it; a lesson that does not fit teaches what the grammar then forbids.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

Misfit = Literal["no JSON", "against its schema"]


def misfit(params: Mapping[str, Any], answer: str) -> Misfit | None:
    """What is wrong with an answer to a request of these parameters; None where nothing is, or no form was asked for.

    An object is asked for by `json_object`. A schema that is none, or that refers to what lies elsewhere, cannot be
    checked: then JSON is enough.
    """
    wanted = params.get("response_format") or {}
    if wanted.get("type", "text") == "text":
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return "no JSON"
    if wanted["type"] == "json_object":
        return None if isinstance(value, dict) else "no JSON"
    validator = _validator(json.dumps((wanted.get("json_schema") or {}).get("schema", True)))
    return None if validator is None or _fits(validator, value) else "against its schema"


@lru_cache(maxsize=64)  # a task's requests share a schema or a few
def _validator(schema: str) -> Validator | None:
    parsed = json.loads(schema)
    kind = validator_for(parsed)
    try:
        kind.check_schema(parsed)
    except SchemaError:
        return None
    return kind(parsed, registry=Registry())  # an empty one: the default asks the network for what a schema refers to


def _fits(validator: Validator, value: Any) -> bool:
    try:
        return bool(validator.is_valid(value))
    except Unresolvable:
        return True
