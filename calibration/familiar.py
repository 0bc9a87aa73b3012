"""Is a request like anything that taught a student? A student can be sure of what it has never learned, and its score
does not tell (docs/decisions/0051): what is unlike all of its lessons is the teacher's.

Likeness is the cosine of two texts' sets of character n-grams, as of spell checkers and of search without a dictionary
(Damashek 1995, "Gauging similarity with n-grams"), without those that most lessons have: a template tells nothing. What
counts is the nearest lesson. N-grams are kept as 16-bit hashes, and lessons are listed by n-gram, so that a request is
compared with those alone that share one with it.
"""

import io
import math
import random
import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import normalised

LONGEST = 500  # characters of a text that are looked at, its first ones: the gateway compares every request
MOST = 2000  # lessons that are kept
FEW = 50  # lessons by which nothing is a template yet
DIGITS = 6  # of a likeness, so that ties on the least one hold on every machine
FACTORS = np.array([0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F], np.uint32)  # odd, one a character of a gram
GRAM = len(FACTORS)  # characters
ANY_DIGIT = re.compile(r"\d")
Grams = NDArray[np.uint16]  # shape (n,), each once


class Familiar:
    """Lessons, at least one, as sets of n-grams, and the least likeness in [0, 1] to any of them from which on a
    request is familiar."""

    def __init__(self, lessons: Sequence[Grams], *, least: float = 0.0) -> None:
        self.lessons, self.least = lessons, least
        grams = np.concatenate(lessons)
        lesson = np.repeat(np.arange(len(lessons)), [len(each) for each in lessons])
        often = np.bincount(grams) > max(FEW, len(lessons) // 2)
        self._common = frozenset(np.flatnonzero(often).tolist())
        telling = ~often[grams]
        self._having = _by_gram(grams[telling], lesson[telling])
        self._roots = np.sqrt(np.maximum(1, np.bincount(lesson[telling], minlength=len(lessons))))  # (lessons,)

    @classmethod
    def with_all_of(cls, texts: Iterable[str], *, seed: int, before: "Familiar | None" = None) -> "Familiar | None":
        """All texts are familiar by now, and what was `before`; None of none. Of more than MOST different ones so many
        are drawn."""
        sets = [*map(_grams, texts), *(frozenset(each.tolist()) for each in (before.lessons if before else ()))]
        known = list(dict.fromkeys(sets))
        drawn = known if len(known) <= MOST else random.Random(seed).sample(known, MOST)
        return cls([_sorted(each) for each in drawn]) if drawn else None

    def but(self, share: float, *, of: Sequence[str]) -> "Familiar":
        """With the least likeness that leaves out a `share` in [0, 1) of these texts at most, the least like ones."""
        likeness = [self.likeness(text) for text in of]
        return Familiar(self.lessons, least=float(np.quantile(likeness, share, method="lower")))

    def has(self, text: str) -> bool:
        """Whether a text is as much like a lesson."""
        return self.likeness(text) >= self.least

    def likeness(self, text: str) -> float:
        """To the nearest lesson, in [0, 1], rounded to 1e-6; 1 of what has nothing but what most lessons have."""
        grams = _grams(text) - self._common
        having = [lessons for gram in grams if (lessons := self._having.get(gram)) is not None]
        if not having:
            return float(not grams)
        shared = np.bincount(np.concatenate(having), minlength=len(self.lessons))
        return round(float((shared / self._roots).max()) / math.sqrt(len(grams)), DIGITS)

    def to_bytes(self) -> bytes:
        """As it is kept."""
        kept = io.BytesIO()
        sizes = np.array([len(each) for each in self.lessons], np.uint32)
        np.savez_compressed(kept, grams=np.concatenate(self.lessons), sizes=sizes, least=np.array(self.least))
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, kept: bytes) -> "Familiar":
        """The inverse of `to_bytes`, for bytes that are known to be from there."""
        with np.load(io.BytesIO(kept), allow_pickle=False) as found:
            ends = np.cumsum(found["sizes"])[:-1]
            return cls(np.split(found["grams"], ends), least=float(found["least"]))


def _by_gram(grams: Grams, lesson: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """N-gram -> the numbers of the lessons that have it."""
    order = np.argsort(grams, kind="stable")
    known, starts = np.unique(grams[order], return_index=True)
    return dict(zip(known.tolist(), np.split(lesson[order], starts[1:]), strict=True)) if len(known) else {}


def _sorted(grams: Collection[int]) -> Grams:
    return np.array(sorted(grams), np.uint16)


def _grams(text: str) -> frozenset[int]:
    """Of a text without its differences of case, Unicode form, white space and digits, at least one.

    All at once: the upper half of a sum of products, which is a hash by multiplication (Knuth, section 6.4).
    """
    plain = f" {ANY_DIGIT.sub('0', normalised(text[:LONGEST]))} ".ljust(GRAM)
    points = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), np.uint32)
    count = len(points) - GRAM + 1
    mixed = points[:count] * FACTORS[0]
    for at in range(1, GRAM):
        mixed += points[at : at + count] * FACTORS[at]
    return frozenset((mixed >> 16).tolist())
