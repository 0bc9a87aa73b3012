"""Is a request like anything that taught a student? A student can be sure of what it has never learned, and its score
does not tell (docs/decisions/0013): what is unlike all of its lessons is the teacher's.

Likeness is the cosine of two texts' sets of character n-grams, as of spell checkers and of search without a dictionary
(Damashek 1995, "Gauging similarity with n-grams"); what counts is the nearest lesson. N-grams are kept as 16-bit
hashes, lessons as lists by n-gram, so that a request is compared with those alone that share one with it.
"""

import io
import math
import random
import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import normalised

LONGEST = 500  # characters of a text that are looked at, its first ones: the gateway compares every request
MOST = 4000  # lessons that are kept
DIGITS = 6  # of a likeness, so that ties on the least one hold on every machine
FACTORS = np.array([0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F], np.uint32)  # odd, one a character of a gram
GRAM = len(FACTORS)  # characters
ANY_DIGIT = re.compile(r"\d")


class Familiar:
    """Lessons, at least one, as sets of n-grams, and the least likeness in [0, 1] to any of them from which on a
    request is familiar."""

    def __init__(self, lessons: Sequence[Iterable[int]], *, least: float = 0.0) -> None:
        self._lessons = [np.array(sorted(grams), np.uint16) for grams in lessons]
        self.least = least
        sizes = [len(grams) for grams in self._lessons]
        self._roots = np.sqrt(np.array(sizes))  # (lessons,)
        self._having = _by_gram(self._lessons, sizes)

    def __len__(self) -> int:
        return len(self._lessons)

    @classmethod
    def with_all_of(cls, lessons: Iterable[str], *, seed: int) -> "Familiar":
        """All texts are familiar by now. Of more than MOST different lessons so many are drawn."""
        known = list(dict.fromkeys(map(_grams, lessons)))
        return cls(known if len(known) <= MOST else random.Random(seed).sample(known, MOST))

    def but(self, share: float, *, of: Sequence[str]) -> "Familiar":
        """With the least likeness that leaves out a `share` in [0, 1) of these texts at most, the least like ones."""
        likeness = [self.likeness(text) for text in of]
        return Familiar(self._lessons, least=float(np.quantile(likeness, share, method="lower")))

    def has(self, text: str) -> bool:
        """Whether a text is as much like a lesson."""
        return self.likeness(text) >= self.least

    def likeness(self, text: str) -> float:
        """To the nearest lesson, in [0, 1], rounded to 1e-6."""
        grams = _grams(text)
        having = [self._having[gram] for gram in grams if gram in self._having]
        if not having:
            return 0.0
        shared = np.bincount(np.concatenate(having), minlength=len(self))
        return round(float((shared / self._roots).max()) / math.sqrt(len(grams)), DIGITS)

    def to_bytes(self) -> bytes:
        """As it is kept."""
        kept = io.BytesIO()
        grams, sizes = np.concatenate(self._lessons), [len(grams) for grams in self._lessons]
        np.savez_compressed(kept, grams=grams, sizes=np.array(sizes, np.uint32), least=np.array(self.least))
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, kept: bytes) -> "Familiar":
        """The inverse of `to_bytes`, for bytes that are known to be from there."""
        with np.load(io.BytesIO(kept), allow_pickle=False) as found:
            ends = np.cumsum(found["sizes"])[:-1]
            return cls(np.split(found["grams"], ends), least=float(found["least"]))


def _by_gram(lessons: Sequence[NDArray[np.uint16]], sizes: Sequence[int]) -> dict[int, NDArray[np.int64]]:
    """N-gram -> the numbers of the lessons that have it."""
    grams, lesson = np.concatenate(lessons), np.repeat(np.arange(len(lessons)), sizes)
    order = np.argsort(grams, kind="stable")
    known, starts = np.unique(grams[order], return_index=True)
    return dict(zip(known.tolist(), np.split(lesson[order], starts[1:]), strict=True))


def _grams(text: str) -> frozenset[int]:
    """Of a text without its differences of case, Unicode form, white space and digits, at least one.

    All at once: the upper half of a sum of products, which is a hash by multiplication (Knuth, section 6.4).
    """
    plain = f" {ANY_DIGIT.sub('0', normalised(text[:LONGEST]))} ".ljust(GRAM)
    points = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), np.uint32)
    count = len(points) - GRAM + 1
    mixed = sum(points[at : at + count] * factor for at, factor in enumerate(FACTORS))
    return frozenset((mixed >> 16).tolist())
