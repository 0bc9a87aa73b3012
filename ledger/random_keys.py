"""Random keys that a ledger draws once and keeps: for draws, for hashes, for signatures."""

import secrets

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import settings


def random_key(engine: sa.Engine, name: str) -> bytes:
    """32 random bytes, the same for a name for ever."""
    query = sa.select(settings.c.value).where(settings.c.key == name)
    with writing(engine) as connection:
        value = connection.execute(query).scalar()
        if value is None:
            value = secrets.token_hex(32)
            connection.execute(settings.insert().values(key=name, value=value))
    return bytes.fromhex(value)
