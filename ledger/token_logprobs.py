"""What a teacher has said of the tokens of its answer: the log-probability of each, and of what else might have stood
there.

Tokens are kept as the bytes they stand for, since a student knows none of its teacher's numbers.
"""

from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa

from ledger.database import parts
from ledger.records import Piece, Place
from ledger.schema import teacher_replies

DIGITS = 4  # of a log-probability, behind the point: half of 1e-4 of a probability is what that loses at most

_decoder = msgspec.json.Decoder(list[Place])


def piece(token: bytes) -> Piece:
    """A token's bytes as they are kept."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return list(token)


def token_bytes(kept: Piece) -> bytes:
    """What `piece` was made of. Raises ValueError for what is no text and no bytes."""
    return kept.encode() if isinstance(kept, str) else bytes(kept)


def texts(found: list[Place]) -> str:
    """What its tokens spell together, which may be more than the answer (some servers tell of what was thought before
    it, too); then every token in it, a line each."""
    spelled = b"".join(token_bytes(kept) for place in found for kept, _ in place[:1])
    tokens = (token_bytes(kept) for place in found for kept, _ in place)
    return "\n".join(each.decode(errors="replace") for each in (spelled, *tokens))


def packed(found: list[Place] | None) -> str | None:
    """As a column holds it."""
    return msgspec.json.encode(found).decode() if found else None


def recorded(engine: sa.Engine, exchange_ids: Sequence[str]) -> Iterator[tuple[str, list[Place]]]:
    """Of these exchanges those whose teacher has said it, one after the other: of many answers it is much.

    No connection is held meanwhile.
    """
    columns = (teacher_replies.c.exchange_id, teacher_replies.c.logprobs)
    for part in parts(exchange_ids):
        query = sa.select(*columns).where(columns[0].in_(part), columns[1].is_not(None))
        with engine.connect() as connection:
            found = connection.execute(query).all()
        for exchange_id, text in found:
            yield exchange_id, _decoder.decode(text)
