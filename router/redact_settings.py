"""The settings of redaction: what never reaches the disk."""

from collections.abc import Iterable
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field, field_validator

from ledger.redaction import KINDS, BadPattern, Kind, Redactor, compiled, redaction_key
from router.sections import Section


class RedactSettings(Section):
    """What is taken out of recorded texts before they are written: built-in `kinds`, and `patterns` of one's own by
    name, in RE2's syntax. Requests that hold any of it are the teacher's. Off unless `redact` is set: `redact: {}`
    takes all kinds."""

    kinds: tuple[Kind, ...] = KINDS
    patterns: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")], str] = Field(default_factory=dict)

    @field_validator("patterns")
    @classmethod
    def _can_be_used(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name, pattern in patterns.items():
            if name in KINDS:
                raise ValueError(f"{name} is a built-in kind: give it another name")
            try:
                compiled(pattern)
            except BadPattern as error:
                raise ValueError(f"{name}: {error}") from error
        return patterns

    def redactor(self, engine: sa.Engine, *, constants: Iterable[str | None]) -> Redactor:
        """With the ledger's key; `constants`: the tasks' own system messages, which the configuration has in clear."""
        return Redactor(self.kinds, self.patterns, key=redaction_key(engine), constants=set(filter(None, constants)))
