"""The settings of a task's constant instruction: which it is, and whether its student reads it."""

from typing import Literal, Self

from pydantic import model_validator

from router.sections import Section


class Prompted(Section):
    """system_prompt: the task's system message, by which its requests are known, too. student_prompt: full, or compact:
    the student reads an empty one in its place, since it has learned what it says (docs/decisions/0031)."""

    system_prompt: str | None = None
    student_prompt: Literal["full", "compact"] = "full"

    @model_validator(mode="after")
    def _compact_of_something(self) -> Self:
        if self.student_prompt == "compact" and not self.system_prompt:
            raise ValueError("student_prompt: compact leaves out the system_prompt, and there is none: set it as well")
        return self

    @property
    def unsaid(self) -> str | None:
        """The system message that its student does not read."""
        return self.system_prompt if self.student_prompt == "compact" else None
