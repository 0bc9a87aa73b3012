"""Which release a new one is compared with before it takes over: the best that was ever certified for the same.

Not the one in force: each next one may be a little worse than the last without that being seen, and after many of them
that is much.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from calibration.calibrator import Calibrator
from calibration.certificate import Certificate
from calibration.certify import ScoredRow
from calibration.clustered import Sizes
from calibration.promotion import Comparison, Given, compare
from distill.adapters import AdapterError, verify
from distill.evaluate import Judged, scored
from ledger.familiar import is_there
from ledger.queries import Row
from ledger.records import Draft
from ledger.releases import Release, champions, history

LAST_S = 7 * 86400.0  # a champion that expires in less is followed by any that is certified: behind it is the teacher


def anchor(engine: sa.Engine, task: str, *, binding: Mapping[str, str], alpha: float, now: float) -> Release | None:
    """The release with the largest certified coverage among the champion and those that retired, certified under the
    same `binding` for the same alpha, with its adapter and what taught it as they were; the newest of equal ones.

    None where no champion holds for another week: then the teacher answers, or is about to, and a certificate is
    enough.
    """
    champion = champions(engine).get(task)
    if champion is None or not _holds(champion, binding, alpha=alpha, at=now + LAST_S):
        return None
    whole = (each for each in history(engine, task) if is_there(engine, each))
    return best(whole, binding=binding, alpha=alpha)


def best(known: Iterable[Release], *, binding: Mapping[str, str], alpha: float) -> Release | None:
    """Of the champion and those that retired, as `anchor` says; the folders of the best are read until one is whole."""
    same = [each for each in known if each.status in ("champion", "retired") and _alike(each, binding, alpha=alpha)]
    ranked = sorted(same, key=lambda each: (_certified(each, "coverage"), each.number), reverse=True)
    return next(filter(_intact, ranked), None)


def _holds(release: Release, binding: Mapping[str, str], *, alpha: float, at: float) -> bool:
    return _certified(release, "alpha") == alpha and _valid(release, binding) and _certified(release, "expires_at") > at


def _alike(release: Release, binding: Mapping[str, str], *, alpha: float) -> bool:
    return not release.gone and _certified(release, "alpha") == alpha and _valid(release, binding)


def _intact(release: Release) -> bool:
    try:
        verify(Path(release.adapter_path), expected=release.adapter_digest)
    except (AdapterError, OSError):
        return False
    return True


def _valid(release: Release, binding: Mapping[str, str]) -> bool:
    try:
        release.valid(binding)
    except ValueError:
        return False
    return True


def _certified(release: Release, name: str) -> float:
    return float((release.certificate or {}).get(name, 0.0))


@dataclass(frozen=True)
class Seen:
    """A certification window as a release was judged by it, aligned: its references, the teacher's answers, the
    release's scores and disagreements, and the drafts; and the clusters of near-duplicates `before` it."""

    window: tuple[Row, ...]
    answers: tuple[str | None, ...]
    rows: tuple[ScoredRow, ...]
    drafts: tuple[Draft | None, ...] = ()
    before: Sizes = field(default_factory=dict)


def beside(best: Release, judged: Sequence[Judged], *, seen: Seen, certificate: Certificate) -> Comparison:
    """What a release with this `certificate` and the best one, whose drafts are `judged`, would do with these rows."""
    assert best.calibrator is not None and best.certificate is not None, "an anchor is certified"
    others = scored(judged, Calibrator.from_dict(best.calibrator))
    mine = [_given(row, certificate.threshold) for row in seen.rows]
    theirs = [_given(row, best.certificate["threshold"]) for row in others]
    return compare(
        mine, theirs, alpha=certificate.alpha, clusters=[row.cluster for row in seen.rows], before=seen.before
    )


def _given(row: ScoredRow, threshold: float) -> Given:
    return Given(row.score >= threshold, bool(row.disagreement))
