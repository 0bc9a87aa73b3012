"""What `tutelage up` does while it serves: tells what happens, and keeps on vLLM what is in force, and
takes off what is not.

Nothing that happens to one part ends the others. What cannot be done now is said once and tried again.
"""

import time
from collections.abc import Callable

import sqlalchemy as sa

from distill.adapters import AdapterError
from distill.recital import Checked
from distill.retiring import Retiring
from ledger import decisions
from ledger.database import LedgerError, connect
from ledger.progress import published
from ledger.releases import served, statuses
from router.settings import Settings
from tutelage.distilling import load_champions, shelf
from tutelage.processes import Stack
from tutelage.standing import in_words

AGAIN_S = 10.0  # until it is seen again what the engine has: it may restart elsewhere, and others may take things off
AWAY = "the student does not answer yet: the teacher answers everything"


class Upkeep:
    """Call `look` every second or so; `say` gets what is new, a line each."""

    def __init__(self, stack: Stack, settings: Settings, *, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._settings = settings
        self._say = say
        self._engine: sa.Engine | None = None
        self._retiring: Retiring | None = None
        self._told = 0  # the last decision
        self._releases: dict[str, str] = {}  # name -> status
        self._asked: frozenset[str] | None = None  # releases that vLLM was asked to load since it was last started
        self._failed: dict[str, str] = {}  # of them, and why
        self._checked: Checked = set()
        self._again_at = 0.0
        self._trouble = ""

    def look(self) -> str:
        """Do what there is to do; returns how far each task is from its next release, in words."""
        for found in self._stack.changes():
            self._say(f"{found.name}: {found.words}")
            if found.name == "student":
                self._asked = None
        progress = ""
        try:
            engine = self._ledger()
            self._tell_decisions(engine)
            self._tell_releases(engine)
            progress = " | ".join(f"{task}: {in_words(found)}" for task, found in published(engine).items())
            trouble = "" if self._load(engine) else AWAY
            self._retire(engine)
        except (LedgerError, sa.exc.SQLAlchemyError) as error:
            trouble = f"the ledger does not answer ({type(error).__name__}): what is in force stays so"
        if trouble and trouble != self._trouble:
            self._say(trouble)
        self._trouble = trouble
        return progress

    def _ledger(self) -> sa.Engine:
        if self._engine is None:
            engine = connect(self._settings.ledger.url)
            self._told = decisions.last_id(engine)
            self._releases = {name: status for name, (status, _) in statuses(engine).items()}
            self._engine = engine
        return self._engine

    def _tell_decisions(self, engine: sa.Engine) -> None:
        for number, found in decisions.after(engine, self._told):
            self._told = number
            if found.action != "void":  # its release tells it
                self._say(f"{found.task}: {found.action} ({found.trigger}): {found.reason}")

    def _tell_releases(self, engine: sa.Engine) -> None:
        for name, (status, why) in statuses(engine).items():
            if self._releases.get(name) != status:
                self._releases[name] = status
                self._say(f"{name}: {status}" + (f": {why}" if why else ""))

    def _load(self, engine: sa.Engine) -> bool:
        """vLLM forgets its adapters when it is started again, and another machine's run has loaded none here. False
        where it does not answer."""
        names = frozenset(release.name for release in served(engine))
        if names == self._asked and time.monotonic() < self._again_at:
            return True
        try:
            found = load_champions(self._settings, engine, checked=self._checked)
        except AdapterError:
            return False
        for name, failure in found.items():
            if names != self._asked or self._failed.get(name) != (failure or None):
                self._say(
                    f"not in force, the teacher answers for it: {name}: {failure}" if failure else f"in force: {name}"
                )
        if not found and names != self._asked:
            self._say("in force: no release, the teacher answers")
        self._asked, self._failed = names, {name: failure for name, failure in found.items() if failure}
        self._again_at = time.monotonic() + AGAIN_S
        return True

    def _retire(self, engine: sa.Engine) -> None:
        if self._retiring is None:
            self._retiring = Retiring(engine, shelf(self._settings))
        for name in sorted(self._retiring.look(now=time.time(), steady=time.monotonic())):
            self._say(f"{name}: its adapter is taken off the student, nothing needs it")
