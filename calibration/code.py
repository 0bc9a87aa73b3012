"""The version of what a certificate rests on in code: a release certified with another one is not in force."""

from collections.abc import Mapping

# Whatever turns a draft into a score, or two answers into an agreement, is alike in these: where that changes, a new
# number stands alone. A release that is certified under the last may leave requests to the teacher that code of before
# would have drafted (docs/decisions/0051), which therefore does not know it.
SAME = ("1", "2")
CODE = SAME[-1]


def under(code: str, bound: Mapping[str, str]) -> dict[str, str]:
    """What a release is bound to, said with this version where that of then scores and compares alike."""
    return {**bound, "code": code} if bound.get("code") in SAME else dict(bound)
