"""The reference draw: a permanent number per exchange, fixed before anything that depends on its difficulty."""

import hashlib


def draw(key: bytes, exchange_id: str, *, domain: str) -> float:
    """A keyed pseudo-random number in [0, 1), the same for ever; draws of different domains are independent.

    An exchange is a reference iff its draw in the reference domain is below rho.
    """
    digest = hashlib.blake2b(exchange_id.encode(), key=key[:64], person=domain.encode()[:16], digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
