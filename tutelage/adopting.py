"""A found task becomes one of the configuration, and what was recorded of it becomes its history.

The configuration is a file that people keep, so a section is put into it as text: every comment and line stays. What
the gateway has recorded without a task was answered by the teacher whatever it was, as while no student may be asked
(docs/decisions/0035), so it is recorded anew as that.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from calibration.references import REFERENCE_DOMAIN, draw
from ledger import teachers, unclaimed
from ledger.queries import reference_key
from ledger.redaction import was_private
from ledger.unclaimed import Claim, ClaimRefused, Unclaimed
from router.settings import ConfigError, Settings, load
from router.ticket import NO_ROOM
from tutelage.found import request_of, text_of


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as people write them, where they can be read so; others in quotes, with escapes."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    as_block = all(line.isprintable() and line == line.strip() for line in lines) and all((lines[0], lines[-1]))
    style = '"' if not as_block else "|" if len(lines) > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def section(name: str, values: Mapping[str, Any]) -> str:
    """A task as it stands under `tasks:`, not indented."""
    written: str = yaml.dump({name: dict(values)}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
    return written


def add_to(config: Path, name: str, values: Mapping[str, Any]) -> None:
    """Put a task into the file, which keeps its comments; it is replaced as a whole or stays as it was.

    Raises ConfigError, with the section to put in by hand where the file cannot be changed, and where the settings
    would not be valid with it.
    """
    text = config.read_text(encoding="utf-8")
    new = _with_task(text, section(name, values))
    real = config.resolve()
    try:
        with tempfile.TemporaryDirectory(dir=real.parent, prefix=".tutelage-") as folder:
            beside = Path(folder) / real.name
            beside.write_text(new, encoding="utf-8")
            shutil.copymode(real, beside)
            _check(beside, config, name=name, values=values)
            beside.replace(real)
    except OSError as error:
        raise ConfigError(
            f"{config} cannot be changed ({error.strerror}): put this under tasks\n{section(name, values)}"
        ) from error


def _check(beside: Path, config: Path, *, name: str, values: Mapping[str, Any]) -> None:
    """Whether it says there what is meant."""
    try:
        made = load(beside).task(name).model_dump(include=set(values))
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(beside), f"{config} with the new task")) from error
    if made != values:
        raise ConfigError(f"{config} cannot be changed by itself: put this under tasks\n{section(name, values)}")


def _with_task(text: str, added: str) -> str:
    """The section right behind the line `tasks:`, as deep as its neighbours."""
    root = yaml.compose(text)
    found = [pair for pair in root.value if pair[0].value == "tasks"] if isinstance(root, yaml.MappingNode) else []
    if not found:
        return f"{text.rstrip()}\n\ntasks:\n{_indented(added, 2)}" if text.strip() else f"tasks:\n{_indented(added, 2)}"
    key, value = found[0]
    block = isinstance(value, yaml.MappingNode) and not value.flow_style and bool(value.value)
    if not block and not (isinstance(value, yaml.ScalarNode) and not value.value):
        raise ConfigError(f"`tasks` is written in braces: put this under it by hand\n{added}")
    end = text.find("\n", key.start_mark.index) + 1 or len(text)
    before = text[:end] if text[:end].endswith("\n") else f"{text}\n"
    return before + _indented(added, value.start_mark.column if block else 2) + text[end:]


def _indented(text: str, depth: int) -> str:
    return "".join(f"{' ' * depth}{line}\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))


def take_over(settings: Settings, engine: sa.Engine, name: str) -> int:
    """What was recorded without a task, and has the task's teacher and system message, is the task's from now on.

    Returns how many requests that are; 0 where the task has no system message of its own. Of a model that the teacher's
    name stood for before, nothing is taken. Raises ClaimRefused where the task has a release.
    """
    task = settings.task(name)
    if task.system_prompt is None:
        return 0
    model, key = task.teacher, reference_key(engine)
    named = unclaimed.prompts(engine, model)
    mine = [fingerprint for fingerprint, messages in named if text_of(model, messages) == task.system_prompt]
    if not mine:
        return 0
    with engine.connect() as connection:
        same = [other for other, each in settings.tasks.items() if each.teacher == model]
        since = max(0.0, *(teachers.since(connection, other) for other in same))
    rows = unclaimed.rows(engine, model, mine, since=since)
    return unclaimed.claim(engine, name, [_as_claimed(model, row, rho=task.rho, key=key) for row in rows])


def take_over_all(settings: Settings, engine: sa.Engine) -> dict[str, int]:
    """Of every task that has no release yet, where there is anything: task -> requests."""
    taken = dict[str, int]()
    for name in settings.tasks:
        try:
            taken[name] = take_over(settings, engine, name)
        except ClaimRefused:  # it is past its beginning
            continue
    return {name: count for name, count in taken.items() if count}


def _as_claimed(model: str, row: Unclaimed, *, rho: float, key: bytes) -> Claim:
    """As the gateway would have recorded it with the task and no release in force (`router.ticket`): every eligible
    request is a reference, of those that found no room a share rho. One without an answer has lost its label."""
    private = "private" if was_private({**row.params, "messages": row.messages}) else None
    if beyond := request_of(model, row).beyond_student() or private:
        return Claim(row.exchange_id, beyond, as_eligible=False, as_reference=False, as_rho=None)
    rate = 1.0 if row.status != NO_ROOM else rho
    drawn = draw(key, row.exchange_id, domain=REFERENCE_DOMAIN) < rate
    return Claim(row.exchange_id, "no_release", as_eligible=True, as_reference=drawn, as_rho=rate)
