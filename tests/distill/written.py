"""Texts that a bag of words tells apart, and that are near-duplicates of none."""

import random
from collections.abc import Sequence

WORDS = {
    "refund": ["money", "back", "refund", "return", "charge", "twice", "cancel", "paid", "overpaid", "receipt"],
    "delivery": ["parcel", "late", "courier", "track", "shipped", "address", "doorstep", "waiting", "arrived", "lost"],
    "login": ["password", "account", "locked", "reset", "email", "code", "sign", "username", "browser", "session"],
}
ANYWHERE = [
    "please",
    "could",
    "you",
    "tell",
    "me",
    "about",
    "this",
    "since",
    "yesterday",
    "again",
    "now",
    "thanks",
    "how",
]


def written(labels: Sequence[str], *, seed: int = 0) -> list[str]:
    """A text for each label: five of its words among seven that any may have."""
    rng = random.Random(seed)
    return [" ".join(rng.sample(rng.sample(WORDS[label], 5) + rng.choices(ANYWHERE, k=7), 12)) for label in labels]
