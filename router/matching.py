"""Which task a request is for: that of its model's name or its header, or the one whose teacher and system message it
has, so that a client which changed nothing but its base URL is recognised. Aliases say both of further requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from ledger import aliases
from router.errors import UnknownModel
from router.ports import TaskPlan
from router.wire import ChatRequest


@dataclass(frozen=True)
class _Held:
    """One reading, exchanged as one: tasks by name, and by teacher and system message; the names that are aliases."""

    named: Mapping[str, TaskPlan]
    prompted: Mapping[tuple[str, str | None], TaskPlan]
    names: Mapping[str, str] = field(default_factory=dict)


class Matching:
    """The tasks of the settings, and the aliases of the ledger as last read. What the settings say goes first."""

    def __init__(self, tasks: Mapping[str, TaskPlan], teachers: frozenset[str]) -> None:
        self.tasks, self.teachers = tasks, teachers
        self._held = _hold(tasks, teachers, [])
        self._version = (0, 0)

    def read(self, engine: sa.Engine) -> None:
        """Take over the ledger's aliases, where they have changed (blocking)."""
        # Asked first: what changes between the two questions is read again next time.
        if (now := aliases.version(engine)) != self._version:
            self._held = _hold(self.tasks, self.teachers, aliases.in_force(engine))
            self._version = now

    def resolve(self, request: ChatRequest, *, task_header: str | None) -> TaskPlan | None:
        """The task; None for a teacher's model without one. Raises UnknownModel."""
        held, name = self._held, task_header or request.model
        if (task := held.named.get(name)) is not None:
            return task
        if task_header is not None or request.model not in self.teachers:
            raise UnknownModel(f"The model `{name}` does not exist or you do not have access to it.", param="model")
        return held.prompted.get((request.model, request.system_prompt))

    def names(self) -> Mapping[str, str]:
        """The names that are aliases, each with its task."""
        return self._held.names


def _hold(tasks: Mapping[str, TaskPlan], teachers: frozenset[str], known: list[aliases.Alias]) -> _Held:
    """An alias of a task that the settings do not name says nothing."""
    reserved, names, prompted = tasks.keys() | teachers, dict[str, str](), dict[tuple[str, str | None], TaskPlan]()
    for task in reversed(list(tasks.values())):  # of two with one teacher and one system message the first is meant
        if task.system_prompt is not None:
            prompted[task.teacher, task.system_prompt] = task
    for alias in known:
        if (meant := tasks.get(alias.task)) is None:
            continue
        if alias.kind == "prompt":
            prompted.setdefault((meant.teacher, alias.value), replace(meant, since=alias.since))
        elif alias.value not in reserved:
            names[alias.value] = alias.task
    return _Held({**{name: tasks[task] for name, task in names.items()}, **tasks}, prompted, names)
