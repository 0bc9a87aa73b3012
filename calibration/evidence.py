"""Evidence: numbers about a draft that are known before the decision, from the log-probabilities of its tokens.

`SHORT` is for labels and extracted fields, where the first value token tells most; `LONG` for text, where it is the
weakest stretch. Both are computed of every draft, and a calibrator reads its own. Pure Python: the gateway runs it on
every draft, and for some twenty tokens numpy's overhead would cost more than it saves. Natural logarithms throughout.
"""

import math
import re
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

SHORT = (
    "first_logprob",  # of the first value token
    "first_margin",  # to its best alternative
    "first_entropy",  # over the alternatives and one bucket for the rest
    "first_mass",  # probability that the alternatives cover
    "min_logprob",  # over value tokens and the end of the text
    "min_margin",
    "sum_logprob",
    "log_tokens",
    "log_prompt_tokens",
)
QUANTILES = {"q00": 0.0, "q01": 0.01, "q05": 0.05, "q10": 0.1, "q25": 0.25, "q50": 0.5}
LONG = (
    "first_logprob",
    *QUANTILES,  # of the log-probabilities of value tokens
    "window_logprob",  # the lowest mean of so many in a row
    "tail_logprob",  # the mean of the last ones
    "unlikely_share",  # of tokens that had a probability below one half
    "sum_logprob",
    "log_tokens",
    "log_prompt_tokens",
)
WINDOW = 16  # tokens
EVEN = math.log(0.5)
MARGIN_LIMIT = 20.0  # nats; an alternative that was not reported is at least about this unlikely
ALPHANUMERIC = re.compile(r"[^\W_]")
LEAST, MOST = -1e5, 1e-3  # a log-probability, with what rounding may add to 0


class TokenLogprob(NamedTuple):  # a dataclass takes thrice as long to make
    """One token of a draft: its log-probability, and those of the likeliest tokens at its place, descending."""

    text: str
    logprob: float
    top: Sequence[float]


def evidence(tokens: Sequence[TokenLogprob], *, prompt_tokens: int) -> dict[str, float] | None:
    """The features of a draft by name, or None where nothing can be judged: then the teacher is asked.

    `tokens` is the whole draft, with the end-of-text token last where the server reports it. None for no tokens,
    for values that are no log-probabilities, and where all are exactly 0 (a server that does not compute them).
    """
    if not tokens or not _are_logprobs(tokens):
        return None
    values = _value_tokens(tokens)
    first = values[0]
    # To stop here is part of the answer: "refund" where "refund_status" was meant ends too early.
    judged = values if values[-1] is tokens[-1] else [*values, tokens[-1]]
    logprobs = [t.logprob for t in judged]
    return {
        "first_logprob": first.logprob,
        "first_margin": _margin(first),
        "first_entropy": _entropy(first.top),
        "first_mass": min(1.0, sum(map(math.exp, first.top))),
        "min_logprob": min(logprobs),
        "min_margin": min(map(_margin, judged)),
        "sum_logprob": sum(logprobs),
        "log_tokens": math.log(len(tokens)),
        "log_prompt_tokens": math.log1p(prompt_tokens),
        **_stretches(logprobs),
    }


def _are_logprobs(tokens: Sequence[TokenLogprob]) -> bool:
    """Whether all values can be log-probabilities, and some are not 0; one that is no number makes the sum none."""
    own = [t.logprob for t in tokens]
    every = [*own, *chain.from_iterable([t.top for t in tokens])]
    within = min(every) >= LEAST and max(every) <= MOST and not math.isnan(sum(every))
    return within and any(own) and all([t.top for t in tokens])


def _stretches(logprobs: Sequence[float]) -> dict[str, float]:
    """Where a text is weakest: quantiles, the lowest window, its end."""
    ordered, n = sorted(logprobs), len(logprobs)
    sums = list(accumulate(logprobs, initial=0.0))
    width = min(WINDOW, n)
    return {
        **{name: ordered[int(share * (n - 1))] for name, share in QUANTILES.items()},
        "window_logprob": min(sums[end] - sums[end - width] for end in range(width, n + 1)) / width,
        "tail_logprob": (sums[n] - sums[n - width]) / width,
        "unlikely_share": sum(lp < EVEN for lp in logprobs) / n,
    }


def _value_tokens(tokens: Sequence[TokenLogprob]) -> list[TokenLogprob]:
    """Tokens that carry content: not punctuation or space, which are near-certain, and not the keys of an object."""
    keys = _key_positions([t.text for t in tokens])
    last = len(tokens) - 1
    values = [
        t
        for i, t in enumerate(tokens)
        if i not in keys and ALPHANUMERIC.search(t.text) and not (i == last and t.text.startswith("<|"))
    ]
    return values or list(tokens)


def _key_positions(texts: Sequence[str]) -> set[int]:
    """Tokens that lie in a JSON object's keys; none where the draft is no object.

    A string is a key when the next sign after it is a colon: one pass over the characters, no parser, since a draft
    may be cut off.
    """
    whole = "".join(texts)
    if not whole.lstrip().startswith("{"):
        return set()
    spans = [span for span in _string_spans(whole) if whole[span[1] :].lstrip()[:1] == ":"]
    bounds = list(pairwise(_offsets(texts)))
    return {i for i, (start, end) in enumerate(bounds) if any(start < right and end > left for left, right in spans)}


def _string_spans(text: str) -> list[tuple[int, int]]:
    spans, opened, escaped = [], -1, False
    for i, sign in enumerate(text):
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == '"' and opened < 0:
            opened = i
        elif sign == '"':
            spans.append((opened, i + 1))
            opened = -1
    return spans


def _offsets(texts: Sequence[str]) -> list[int]:
    offsets = [0]
    for text in texts:
        offsets.append(offsets[-1] + len(text))
    return offsets


def _margin(token: TokenLogprob) -> float:
    """Distance to the best other token; negative where the token is not the likeliest."""
    _, own, top = token
    if own == top[0]:
        return min(MARGIN_LIMIT, own - top[1]) if len(top) > 1 else MARGIN_LIMIT
    tied = top.count(own) > 1  # exactly: the other one is as likely
    return 0.0 if tied else min(MARGIN_LIMIT, own - top[0])


def _entropy(top: Sequence[float]) -> float:
    """Entropy in nats of the alternatives plus one bucket for all that was not reported."""
    probabilities = [math.exp(lp) for lp in top]
    tail = max(0.0, 1.0 - sum(probabilities))
    return -sum(p * math.log(p) for p in (*probabilities, tail) if p > 0.0)
