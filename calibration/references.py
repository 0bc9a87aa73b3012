"""The reference draw: a permanent number per exchange, fixed before anything that depends on its difficulty."""

import hashlib

REFERENCE_DOMAIN = "reference"


def draw(key: bytes, exchange_id: str, *, domain: str) -> float:
    """A keyed pseudo-random number in [0, 1), the same for ever; draws of different domains are independent.

    An exchange is a reference iff its draw in the reference domain is below rho. Raises ValueError for an empty key,
    which a client could reproduce, and where key (64 bytes) or domain (16 bytes) is too long for BLAKE2b.
    """
    if not key:
        raise ValueError("without a key a client could foresee which of its requests are references")
    digest = hashlib.blake2b(exchange_id.encode(), key=key, person=domain.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
