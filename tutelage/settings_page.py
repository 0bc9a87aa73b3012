"""`python -m tutelage.settings_page`: write docs/settings.md, every setting with its default.

A test says when it is not current. What a section's class says of its settings is what users read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.json_schema import GenerateJsonSchema

from router.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Of `tutelage.yaml`; made from the code by `python -m tutelage.settings_page`. Each can be set from the environment too,
`TUTELAGE_SECTION__NAME=value` (`TUTELAGE_SERVER__PORT=9000`), which goes before the file. Paths are relative to the
file's folder, but `student.base_model`: an absolute folder, or a Hugging Face id whose download is in this machine's
cache. What is not known, out of range or in contradiction is refused at the start, by name. `NAME` is yours to choose.
"""
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than"}
SIZES = {"minItems": "at least {} of them", "maxItems": "{} of them at most", "minLength": "not empty"}
Schema = Mapping[str, Any]


class _Shown(GenerateJsonSchema):
    """Defaults of secrets as they are: what is written in the code is none."""

    def encode_default(self, dft: Any) -> Any:
        return dft.get_secret_value() if isinstance(dft, SecretStr) else super().encode_default(dft)


def page() -> str:
    """The whole of it, in Markdown."""
    schema = Settings.model_json_schema(schema_generator=_Shown)
    return HEAD + "".join(_sections(schema, path="", known=schema["$defs"]))


def _sections(schema: Schema, *, path: str, known: Mapping[str, Schema]) -> Iterator[str]:
    """A section of each group of settings, those within it behind it."""
    plain, groups = {}, {}
    for name, value in schema["properties"].items():
        inner = _group(value, known)
        if inner is None or inner[1] is schema:  # prices above a number of tokens are prices
            plain[name] = value
        else:
            groups[f"{path}{name}{inner[0]}"] = inner[1]
    needed = schema.get("required", ())
    if path:
        yield f"\n## {path.removesuffix('.')}\n\n{schema.get('description', '')}\n"
    if plain:
        yield "\n| setting | default | what it may be |\n|---|---|---|\n"
        yield from (
            f"| `{name}` | {'**needed**' if name in needed else _default(value)} | {_kind(value)} |\n"
            for name, value in plain.items()
        )
    for name, group in groups.items():
        yield from _sections(group, path=f"{name}.", known=known)


def _group(value: Schema, known: Mapping[str, Schema]) -> tuple[str, Schema] | None:
    """Settings within a setting, and how they are reached from its name."""
    for each in (value, *value.get("anyOf", ())):
        for within, found in (("", each), (".NAME", _named(each)), ("[]", each.get("items", {}))):
            if "$ref" in found:
                return within, known[found["$ref"].rpartition("/")[2]]
    return None


def _named(value: Schema) -> Schema:
    """Of a mapping, what each name stands for."""
    found = [value.get("additionalProperties"), *value.get("patternProperties", {}).values()]
    return next((each for each in found if isinstance(each, dict)), {})


def _default(value: Schema) -> str:
    found = value.get("default")
    return "none" if found in (None, "", [], {}) else f"`{str(found).lower() if isinstance(found, bool) else found}`"


def _kind(value: Schema) -> str:
    """Its type, and within which bounds."""
    if "$ref" in value:
        return "settings as these"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "anyOf" in value:
        return ", or ".join("null" if each.get("type") == "null" else _kind(each) for each in value["anyOf"])
    if "const" in value:
        return f"`{value['const']}`"
    bounds = [f"{words} {value[name]:g}" for name, words in BOUNDS.items() if name in value]
    sizes = [words.format(value[name]) for name, words in SIZES.items() if value.get(name)]
    return ", ".join([_type(value), *bounds, *sizes])


def _type(value: Schema) -> str:
    kind = value.get("format") or value.get("type", "any")
    if kind == "array":
        return f"list of {_kind(value.get('items', {}))}"
    if kind == "object":
        return f"names, each with: {_kind(_named(value))}"
    return str(
        {"string": "text", "password": "a secret", "boolean": "true or false", "integer": "whole number"}.get(
            kind, kind
        )
    )


if __name__ == "__main__":
    PAGE.write_text(page())
