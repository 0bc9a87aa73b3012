"""What the worker has published of every task, for whoever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from ledger import live, progress
from ledger.decisions import noticed
from ledger.live import Live
from ledger.progress import Progress


@dataclass(frozen=True)
class Seen:
    """By task: how far the next release is, how often each signal has shifted under the champion, and what the
    champion's references say."""

    progress: Mapping[str, Progress] = field(default_factory=dict)
    noticed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    live: Mapping[str, Live] = field(default_factory=dict)


def read(engine: sa.Engine) -> Seen:
    """Everything as it is now."""
    return Seen(progress.published(engine), noticed(engine), live.published(engine))
