"""Near-duplicate clusters of texts: MinHash LSH proposes pairs, their exact Jaccard similarity decides.

Two texts that differ in digits only (an order number, a date) are the same text here. What most of many texts have in
common, an instruction in the user's message, is left out: they are compared by what changes.
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import numpy as np
from datasketch import MinHash, MinHashLSH

SIMILARITY = 0.8  # Jaccard similarity of character 5-grams from which two texts are near-duplicates
SHINGLE = 5
MANY = 50  # texts, from which on what most of them have in common is no part of what changes

# 16 bands of 6 rows propose a pair at similarity 0.8 with probability 1 - (1 - 0.8^6)^16 = 99.2 % and one at 0.5 with
# 22 % (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4.2); the exact check removes the latter.
BANDS, ROWS_PER_BAND = 16, 6

# Of the 96 sketched values a pair at similarity 0.8 shares a share of 0.8 with a standard deviation of 0.04; pairs
# below four of these are not worth the exact check (texts around one long template are proposed by the million).
LIKELY = 0.64


def cluster(texts: Sequence[str]) -> list[int]:
    """The cluster of each text, numbered from 0 by first appearance; clusters are connected components.

    Deterministic: the same texts in the same order give the same numbers.
    """
    folded = [_fold_digits(normalise(text)) for text in texts]
    position = {text: index for index, text in enumerate(dict.fromkeys(folded))}
    root = _components(_varying([_shingles(text) for text in position]))
    numbers: dict[int, int] = {}
    fresh = count()
    roots = (root[position[text]] for text in folded)
    return [numbers[r] if r in numbers else numbers.setdefault(r, next(fresh)) for r in roots]


def _varying(shingles: Sequence[frozenset[bytes]]) -> Sequence[frozenset[bytes]]:
    """Without what more than half of many texts have: an instruction around what changes. A text that has nothing else
    keeps it."""
    if len(shingles) < MANY:
        return shingles
    counts = Counter(each for one in shingles for each in one)
    common = {each for each, count in counts.items() if 2 * count > len(shingles)}
    return [one - common or one for one in shingles]


class Known:
    """Texts, and of others whether they are a near-duplicate of one: none is compared with all that are known."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._near, self._shingles = _Near(), list[frozenset[bytes]]()
        for shingles, sketch in _sketched(texts):
            self._add(shingles, sketch)

    def take(self, texts: Iterable[str]) -> list[bool]:
        """Of each in turn whether it is new, like none that is known; then it is known from there on."""
        return [self._is_new(shingles, sketch) for shingles, sketch in _sketched(texts)]

    def _is_new(self, shingles: frozenset[bytes], sketch: MinHash) -> bool:
        if any(_jaccard(self._shingles[one], shingles) >= SIMILARITY for one in self._near.likely(sketch)):
            return False
        self._add(shingles, sketch)
        return True

    def _add(self, shingles: frozenset[bytes], sketch: MinHash) -> None:
        self._near.add(sketch)
        self._shingles.append(shingles)


def normalise(text: str) -> str:
    """The text without differences of case, Unicode form, apostrophe and white space; digits keep their value."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return " ".join(plain.split())


def _fold_digits(text: str) -> str:
    return re.sub(r"\d", "0", text)


def _shingles(text: str) -> frozenset[bytes]:
    """The character 5-grams; a shorter text is one shingle."""
    return frozenset(text[i : i + SHINGLE].encode() for i in range(max(1, len(text) - SHINGLE + 1)))


def _components(shingles: Sequence[frozenset[bytes]]) -> list[int]:
    """The root of each set's component: the smallest index in it."""
    parent, near = list(range(len(shingles))), _Near()
    for current, sketch in enumerate(_sketches(shingles)):
        for earlier in near.likely(sketch):
            low, high = sorted((_root(parent, earlier), _root(parent, current)))
            if low != high and _jaccard(shingles[earlier], shingles[current]) >= SIMILARITY:
                parent[high] = low
        near.add(sketch)
    return [_root(parent, item) for item in range(len(parent))]


class _Near:
    """Sketches, numbered as they are added."""

    def __init__(self) -> None:
        self._index = MinHashLSH(num_perm=BANDS * ROWS_PER_BAND, params=(BANDS, ROWS_PER_BAND))
        self._values = np.empty((1, BANDS * ROWS_PER_BAND), np.uint64)  # (room, 96), doubled when it is full
        self._count = 0

    def likely(self, sketch: MinHash) -> list[int]:
        """Those that are worth the exact check."""
        candidates = np.array(self._index.query(sketch), dtype=np.intp)
        shared = (self._values[candidates] == sketch.hashvalues).mean(axis=1)  # (candidates,)
        likely: list[int] = candidates[shared >= LIKELY].tolist()
        return likely

    def add(self, sketch: MinHash) -> None:
        """It is compared with what comes after it."""
        if self._count == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._values[self._count] = sketch.hashvalues
        self._index.insert(self._count, sketch)
        self._count += 1


def _sketched(texts: Iterable[str]) -> Iterator[tuple[frozenset[bytes], MinHash]]:
    shingles = [_shingles(_fold_digits(normalise(text))) for text in texts]
    return zip(shingles, _sketches(shingles), strict=True)


def _sketches(shingles: Iterable[frozenset[bytes]]) -> Iterator[MinHash]:
    # crc32 is C code and the same everywhere; the sketch mixes it before it permutes.
    yield from MinHash.generator(shingles, num_perm=BANDS * ROWS_PER_BAND, hashfunc=zlib.crc32)


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = item = parent[parent[item]]
    return item


def _jaccard(a: frozenset[bytes], b: frozenset[bytes]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)
