"""Lines of a log for tests of a replay."""

import random

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]
LABELS = ("refund", "delivery")
SYSTEM = "Name the topic."
DAY = 86_400.0


def label(text: str) -> str:
    return LABELS["bal" in text]


def entry(number: int, *, system: str = SYSTEM, **fields) -> dict:
    """A line of a log of ten requests a day."""
    rng = random.Random(number)
    text = " ".join(rng.sample(WORDS, 8))
    asked = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    body = {
        "choices": [{"message": {"role": "assistant", "content": label(text)}, "finish_reason": "stop"}],
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 400, "completion_tokens": 5},
    }
    return {
        "request": {"model": "gpt-4o", "messages": asked},
        "response": body,
        "created_at": number * DAY / 10,
        **fields,
    }
