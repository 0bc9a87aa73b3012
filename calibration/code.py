"""The version of what a certificate rests on in code: a release certified with another one is not in force."""

from collections.abc import Mapping

# Drafts are scored and answers compared alike in these. What is certified under the last one may leave requests to the
# teacher that code of before would have drafted (docs/decisions/0051): that leaves such releases out of force.
SAME = ("1", "2")
CODE = SAME[-1]  # begin anew with whatever turns a draft into a score, or two answers into an agreement, otherwise


def as_now(bound: Mapping[str, str]) -> dict[str, str]:
    """What a release is bound to, under the code of now where that of then scores and compares alike."""
    return {**bound, "code": CODE} if bound.get("code") in SAME else dict(bound)


def as_first(bound: Mapping[str, str]) -> dict[str, str]:
    """The same under the first of these, as it was kept then."""
    return {**bound, "code": SAME[0]} if bound.get("code") in SAME else dict(bound)
