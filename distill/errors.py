"""What can go wrong while a release is made: one base, so that a command ends with the message and not with a trace."""

import traceback
from pathlib import Path

from ledger.database import LedgerError
from ledger.releases import ReleaseError


class DistillError(Exception):
    """The run cannot go on; the message says why and what to do. The champion in force stays in force."""


def in_words(error: BaseException) -> str:
    """For a log or the ledger: the message of an error that is ours. Of another one what it is and where, since its
    message may quote a request."""
    if isinstance(error, DistillError | LedgerError | ReleaseError):
        return f"{type(error).__name__}: {error}"
    places = traceback.extract_tb(error.__traceback__)[-1:]
    at = [f" at {Path(place.filename).name}:{place.lineno} ({place.name})" for place in places]
    return "".join([type(error).__name__, *at])
