"""A release explained: what it was made of and with, what was found of it, and how two of them differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from calibration.words import percent
from ledger import lineage
from ledger.prices import dollars
from ledger.releases import TAUGHT, Release
from router.settings import ConfigError
from tutelage.standing import date

UNTOLD = "unknown: no such row"
PEOPLE = "unknown: people have said of no reference of the window what is right"
UNCOUNTED = "training, upkeep, a machine by the hour and judges are not in it"
USES = {"train": "taught", "validate": "stopped it in time", "fit": "fitted the calibrator", "certify": "certified it"}


@dataclass(frozen=True)
class Difference:
    """A fact that two releases do not share; "" where one has none."""

    name: str
    before: str
    after: str


def facts(engine: sa.Engine, release: Release) -> dict[str, str]:
    """In the order in which it came about."""
    report = release.report or {}
    named = (*_made(release, report), *_rows(engine, release), *_noise(report), *_training(report))
    beside = (*_people(report.get("people")), *_effort(report.get("effort")), *_expected(report.get("expected")))
    return dict((*named, *_found(report), *_certificate(release), *beside, *_bound(report)))


def differences(engine: sa.Engine, before: Release, after: Release) -> list[Difference]:
    """What is otherwise in the later one, with the rows that taught only one of them."""
    old, new = facts(engine, before), facts(engine, after)
    both = {**old, **new}
    found = [Difference(name, old.get(name, ""), new.get(name, "")) for name in both if old.get(name) != new.get(name)]
    taught = [
        {row.exchange_id for row in lineage.rows(engine, each.name) if row.use in TAUGHT} for each in (before, after)
    ]
    only = [f"{len(mine - others):,}" for mine, others in (taught, taught[::-1])]
    return [*found, Difference("rows that only it learned from", *only)]


def _made(release: Release, report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "status", release.status + (", its adapter deleted" if release.gone else "")
    if release.gone:
        yield "no adapter", release.gone
    if reason := (release.refusal or {}).get("reason"):
        yield "because", reason
    yield "made", date(release.created_at)
    if begun := report.get("begun"):
        yield "made because", begun
    yield "status since", date(release.changed_at)
    yield "base model", release.base_model
    if release.adapter_digest:
        yield "adapter", release.adapter_digest[:16]
    if "adapter_of" in report:
        yield "adapter of", report["adapter_of"]
    yield "rows before", date(release.cut_at)
    yield from _permission(report.get("permission") or {}, trained=bool(release.adapter_digest))


def _permission(known: Mapping[str, str], *, trained: bool) -> Iterator[tuple[str, str]]:
    """Under which terms a model was trained, and on whose word (docs/decisions/0042)."""
    if known:
        yield "learned from answers of", known["teacher"]
        yield "terms that allow it", known["terms"]
        yield "confirmed by", known["confirmed_by"]
    elif trained:
        yield "terms that allow it", "not recorded when it was made"


def _rows(engine: sa.Engine, release: Release) -> Iterator[tuple[str, str]]:
    found = lineage.counts(engine, release.name)
    for use, words in USES.items():
        if count := sum(number for (each, _), number in found.items() if each == use):
            yield f"rows that {words}", f"{count:,}"
    for (use, reason), number in sorted(found.items(), key=str):
        if use == "reject":
            yield f"rows rejected: {reason}", f"{number:,}"


def _noise(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for fact, name in (("curation", "curation"), ("noise", "labels"), ("again", "suspected rows asked again")):
        if told := report.get(fact):
            yield name, told["words"]


def _training(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    training = report.get("training") or {}
    if chosen := report.get("pattern"):
        yield "pattern", chosen["name"]
        yield "pattern because", chosen["because"]
    yield from _targets(report.get("targets") or {})
    if weighted := report.get("weighted"):
        yield "rows that count for others like them", f"{weighted:,}"
    if begun := report.get("start"):
        yield "training begins from", begun["release"] or "the base model"
        yield "begins there because", begun["because"]
    if tried := report.get("chosen"):
        yield "trained with", tried["words"]
    yield from _settings(report)
    if training:
        yield "trained", f"{training['epochs']} epochs, {training['steps']} steps, {training['seconds']:.0f} s"
        yield "validation loss by epoch", " ".join(f"{loss:.4f}" for loss in training["validation_losses"])
        if written := report.get("synthetic"):
            yield "rows that the teacher wrote", f"{written:,}"
        yield "rows too long", f"{training['rows_too_long']:,}"
        if refused := training.get("rows_unspeakable"):  # releases of before do not say
            yield "rows that its chat template does not take", f"{refused:,}"
        yield "digest of its rows", training["dataset_digest"][:16]
    yield from _beside_answers(training, too_long=report.get("rationales_too_long", 0))


def _settings(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Nothing of a release that was made before they were kept, nor of an adapter of such a one."""
    for name, value in (report.get("settings") or {}).items():
        yield f"setting of training: {name.replace('_', ' ')}", str(value)
    if usd := report.get("training_usd"):
        yield "training cost", dollars(usd)


def _beside_answers(training: Mapping[str, Any], *, too_long: int) -> Iterator[tuple[str, str]]:
    if reasoned := training.get("reasoned"):
        yield "rationales", f"{reasoned['rationales']:,}, {reasoned['tokens']:,} tokens"
        yield "rationales too long", f"{reasoned['too_long'] + too_long:,}"
    if preferred := training.get("preferred"):
        yield "pairs", f"{preferred['pairs']:,}"
        yield "pairs too long", f"{preferred['too_long']:,}"
        kept = "kept" if preferred["kept"] else "given up"
        yield "pairs learned in", f"{preferred['steps']} steps, {preferred['seconds']:.0f} s; {kept}"
        yield "validation loss with pairs", " ".join(f"{loss:.4f}" for loss in preferred["validation_losses"])


def _targets(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if told:
        yield "rows with log-probabilities of their teacher", f"{told['rows']:,}"
        for why, count in told["missed"].items():
            yield f"rows learned without: {why}", f"{count:,}"


def _found(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    shares = {"fit_agreement": "drafts that agree, fit rows", "predicted_power": "chance to be certified"}
    shares["window_agreement"] = "drafts that agree, window"
    shares["window_agreement_corrected"] = f"drafts that agree, {report.get('corrections')} rows as people correct them"
    if known := report.get("familiar"):
        yield "requests that are the teacher's, being unlike its lessons", _unlike(known)
    if base := report.get("baselines"):
        yield "the base model alone", base["words"]
    if compared := report.get("compared"):
        answers = f"answers {compared['coverage']:.1%}, that one {compared['coverage_before']:.1%}"
        differs = f"{compared['differs']:.1%}, that one {compared['differs_before']:.1%}"
        yield f"beside {compared['with']}", answers
        yield "of all answered otherwise than by the teacher", f"{differs}; {compared['allowed']:.1%} more are allowed"
    if why := report.get("untold"):
        yield "what else is known of its window", f"could not be told: {why}"
    for name, words in shares.items():
        if report.get(name) is not None:
            yield words, f"{report[name]:.1%}"


def _unlike(known: Mapping[str, Any]) -> str:
    parts = {"fit rows": known["fit"], "the window": known.get("window")}
    shares = [f"{share:.1%} of {rows}" for rows, share in parts.items() if share is not None]
    return f"{', '.join(shares)}; less than {known['least']:.3f} like any of {known['lessons']:,} lessons"


def _people(told: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Nothing of a release whose window was not looked at, or that was made before this was told."""
    if told and not told["drafts"]["rows"]:
        yield "teacher errors fixed, copied and added", PEOPLE
    elif told:
        yield from _errors(told["drafts"], "drafts")
        yield from _errors(told["answers"], "answers it would give") if told["answers"] else ()


def _errors(told: Mapping[str, int], of: str) -> Iterator[tuple[str, str]]:
    rows, wrong, fixed, copied = (told[name] for name in ("rows", "teacher_wrong", "fixed", "copied"))
    right = rows - wrong
    both = f"student {fixed + right - told['added']:,}, teacher {right:,}, of {rows:,} rows that they chose"
    yield f"right as people say, {of}", both if rows else UNTOLD
    on_errors = f"{fixed:,} fixed, {copied:,} copied, {wrong - fixed - copied:,} wrong otherwise, of {wrong:,}"
    yield f"errors of the teacher's, {of}", on_errors if wrong else UNTOLD
    yield f"errors where the teacher is right, {of}", f"{told['added']:,} added, of {right:,}" if right else UNTOLD


def _effort(told: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if told is None:
        return
    student, teacher = told["student"], told["teacher"]
    yield f"seconds of a draft, {told['of']}", _quantiles(student, "under the load of the evaluation")
    yield f"seconds of the teacher's answer, {told['of']}", _quantiles(teacher, "as recorded")
    for name, words in (("prompt_tokens", "tokens of a prompt"), ("answer_tokens", "tokens of an answer")):
        means = (f"{who} {_tokens(each[name])}" for who, each in (("student", student), ("teacher", teacher)))
        yield f"{words}, {told['of']}", ", ".join(means)


def _quantiles(side: Mapping[str, Any], how: str) -> str:
    if not side["timed"]:
        return "unknown: none was timed"
    return f"p50 {side['p50_s']:.3g}, p95 {side['p95_s']:.3g}, of {side['timed']:,} {how}"


def _tokens(mean: float | None) -> str:
    return "unknown" if mean is None else f"{mean:,.1f}"


def _expected(told: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if told is None:
        return
    found, name = told["dollars"], "dollars per 1,000 of them"
    yield "expected to escalate", f"{told['escalation']:.1%} of requests like the window's"
    if found is None:
        yield name, "unknown: no answer of the teacher in the window has a price"
        return
    parts = {each: 1000.0 * found[each] for each in ("drafts", "escalated", "references")}
    words = ", ".join(f"{each} {dollars(usd)}" for each, usd in parts.items())
    yield (
        name,
        f"{dollars(sum(parts.values()))} ({words}); the teacher alone {dollars(1000.0 * found['teacher_alone'])}",
    )
    known = f"by {found['rows']:,} of {told['rows']:,} rows, at the prices of when it was certified"
    yield "assumed of these dollars", f"{known}, {percent(told['rho'])} of them references; {UNCOUNTED}"


def _certificate(release: Release) -> Iterator[tuple[str, str]]:
    if held := release.certificate:
        yield "contract", f"at most {percent(held['alpha'])} differ, delta {percent(held['delta'])}"
        yield "threshold", f"{held['threshold']:.6f}"
        yield "accepts", f"{held['coverage']:.1%} of the window, {held['errors']} of {held['accepted']} disagree"
        yield "upper bound", f"{held['upper_bound']:.2%}"
        yield "expires", date(held["expires_at"])


def _bound(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in (report.get("bound_to") or {}).items():
        yield f"bound to {name}", str(value)


def write_rows(engine: sa.Engine, name: str, path: Path) -> int:
    """One JSON line a row; returns how many. Raises ConfigError rather than overwrite a file."""
    lines = [msgspec.json.encode(row) + b"\n" for row in lineage.rows(engine, name)]
    try:
        with path.open("xb") as file:
            file.write(b"".join(lines))
    except FileExistsError as error:
        raise ConfigError(f"{path} exists; it is not overwritten") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return len(lines)
