"""Evidence: numbers about a draft that are known before the decision, from the log-probabilities of its tokens.

`SHORT` is for labels and extracted fields, where the first value token tells most; `LONG` for text, where it is the
weakest stretch. Both are computed of every draft, and a calibrator reads its own. Pure Python: the gateway runs it on
every draft, and for some twenty tokens numpy's overhead would cost more than it saves. Natural logarithms throughout.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec

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
CARRIES_CONTENT = re.compile(r"[^\W_]").search
LEAST, MOST = -1e5, 1e-3  # a log-probability, with what rounding may add to 0
ALTERNATIVES = 5  # that are read of a token, however many are there: 20 would cost three times the decoding


class Alternative(msgspec.Struct, gc=False):
    """A token that might have stood at a place."""

    logprob: float


class TokenLogprob(msgspec.Struct):
    """One token of a draft as OpenAI's API tells of it: the likeliest tokens at its place come in descending order."""

    token: str
    logprob: float
    top_logprobs: list[Alternative] = []


def evidence(tokens: Sequence[TokenLogprob], *, prompt_tokens: int) -> dict[str, float] | None:
    """The features of a draft by name, or None where nothing can be judged: then the teacher is asked.

    `tokens` is the whole draft, with the end-of-text token last where the server reports it. None for no tokens,
    for values that are no log-probabilities, and where all are exactly 0 (a server that does not compute them).

    Columns rather than a function a token: it is called for every draft, and calls are what costs.
    """
    own, tops = [t.logprob for t in tokens], [t.top_logprobs for t in tokens]
    if not any(own) or not all(tops):
        return None
    best = [top[0].logprob for top in tops]
    others = [top[1].logprob if len(top) > 1 else LEAST for top in tops]
    values = _value_positions([t.token for t in tokens])
    first, last = values[0], len(own) - 1
    alternatives = [a.logprob for a in tops[first][:ALTERNATIVES]]
    if not _are_logprobs([*own, *best, *others, *alternatives]):
        return None
    margins = [
        logprob - other if logprob == likeliest else _margin_below(logprob, top)
        for logprob, likeliest, other, top in zip(own, best, others, tops, strict=True)
    ]
    # To stop here is part of the answer: "refund" where "refund_status" was meant ends too early.
    judged = values if values[-1] == last else [*values, last]
    logprobs = [own[i] for i in judged]
    probabilities = list(map(math.exp, alternatives))
    covered = sum(probabilities)
    return {
        "first_logprob": own[first],
        "first_margin": min(MARGIN_LIMIT, margins[first]),
        "first_entropy": _entropy([*probabilities, max(0.0, 1.0 - covered)]),
        "first_mass": min(1.0, covered),
        "min_logprob": min(logprobs),
        "min_margin": min(MARGIN_LIMIT, min([margins[i] for i in judged])),
        "sum_logprob": sum(logprobs),
        "log_tokens": math.log(len(own)),
        "log_prompt_tokens": math.log1p(prompt_tokens),
        **_stretches(logprobs),
    }


def _are_logprobs(numbers: Sequence[float]) -> bool:
    """Whether all of them can be; one that is no number makes the sum none."""
    return min(numbers) >= LEAST and max(numbers) <= MOST and not math.isnan(sum(numbers))


def _stretches(logprobs: Sequence[float]) -> dict[str, float]:
    """Where a text is weakest: quantiles, the lowest window, its end."""
    ordered, n = sorted(logprobs), len(logprobs)
    sums = list(accumulate(logprobs, initial=0.0))
    width = min(WINDOW, n)
    found = {name: ordered[int(share * (n - 1))] for name, share in QUANTILES.items()}
    found["window_logprob"] = min([sums[end] - sums[end - width] for end in range(width, n + 1)]) / width
    found["tail_logprob"] = (sums[n] - sums[n - width]) / width
    found["unlikely_share"] = bisect_left(ordered, EVEN) / n
    return found


def _value_positions(texts: Sequence[str]) -> list[int]:
    """Of the tokens that carry content: not punctuation or space, which are near-certain, and not the keys of an
    object. All where none does."""
    values = [i for i, text in enumerate(texts) if text[-1:].isalnum() or CARRIES_CONTENT(text)]
    if values and values[-1] == len(texts) - 1 and texts[-1].startswith("<|"):
        values.pop()
    if (whole := "".join(texts)).lstrip().startswith("{"):
        keys = _key_positions(texts, whole)
        values = [i for i in values if i not in keys]
    return values or list(range(len(texts)))


def _key_positions(texts: Sequence[str], whole: str) -> set[int]:
    """Tokens that lie in a JSON object's keys. A string is a key when the next sign after it is a colon: one pass over
    the characters, no parser, since a draft may be cut off."""
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


def _margin_below(logprob: float, top: Sequence[Alternative]) -> float:
    """Distance to the likeliest token of one that is less likely: below 0, but 0 where another is exactly as likely."""
    tied = [a.logprob for a in top[:ALTERNATIVES]].count(logprob) > 1
    return 0.0 if tied else logprob - top[0].logprob


def _entropy(probabilities: Sequence[float]) -> float:
    """Of these, in nats."""
    return -sum([p * math.log(p) for p in probabilities if p > 0.0])
