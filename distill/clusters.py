"""Near-duplicate clusters of texts: MinHash LSH proposes pairs, their exact Jaccard similarity decides.

Two texts that differ in digits only (an order number, a date) are the same text here.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import numpy as np
from datasketch import MinHash, MinHashLSH

SIMILARITY = 0.8  # Jaccard similarity of character 5-grams from which two texts are near-duplicates
SHINGLE = 5

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
    root = _components([_shingles(text) for text in position])
    numbers: dict[int, int] = {}
    fresh = count()
    roots = (root[position[text]] for text in folded)
    return [numbers[r] if r in numbers else numbers.setdefault(r, next(fresh)) for r in roots]


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
    parent = list(range(len(shingles)))
    index = MinHashLSH(num_perm=BANDS * ROWS_PER_BAND, params=(BANDS, ROWS_PER_BAND))
    sketches = list(_sketches(shingles))
    values = np.array([sketch.hashvalues for sketch in sketches])  # (N, 96)
    for current, sketch in enumerate(sketches):
        candidates = np.array(index.query(sketch), dtype=np.intp)
        shared = (values[candidates] == values[current]).mean(axis=1)  # (candidates,)
        for earlier in candidates[shared >= LIKELY].tolist():
            low, high = sorted((_root(parent, earlier), _root(parent, current)))
            if low != high and _jaccard(shingles[earlier], shingles[current]) >= SIMILARITY:
                parent[high] = low
        index.insert(current, sketch)
    return [_root(parent, item) for item in range(len(parent))]


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
