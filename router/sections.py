"""What the parts of the settings share: how a section behaves, and the kinds of values."""

from inspect import getdoc
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


def _what_is_inherited_too(schema: dict[str, Any], section: type[BaseModel]) -> None:
    """The words of a section, and of those that it has settings from: docs/settings.md is made of them."""
    kinds = [each for each in section.__mro__ if issubclass(each, Section) and each is not Section]
    schema["description"] = "\n\n".join(filter(None, map(getdoc, kinds)))


class Section(BaseModel):
    """A part of the file: frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_what_is_inherited_too)


Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Price = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
PrivateUrl = Annotated[str, Field(pattern=r"^http://[^/\s]+$")]  # http://HOST:PORT
PerMinute = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
