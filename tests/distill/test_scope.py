from dataclasses import replace

from calibration.familiar import Familiar
from distill.lessons import Lessons
from distill.rows import TrainingRow
from distill.scope import Scope, familiar_with, within
from ledger.modes import FREE
from ledger.records import Draft, Usage

KNOWN = Familiar.with_all_of(["where is my card"], seed=0).but(0.0, of=["where is my card"])
SCOPE = Scope(frozenset({FREE}), KNOWN)
DRAFT = Draft("card_arrival", "stop", {"x": 1.0}, Usage(5, 1))


def asked(text, **params):
    return {
        "messages": [{"role": "system", "content": "Name the intent."}, {"role": "user", "content": text}],
        **params,
    }


def row(text, **params):
    return TrainingRow("a", tuple(asked(text)["messages"]), "x", "stop", params=params)


def test_what_it_does_not_know_is_drafted_and_never_accepted():
    known, unknown = asked("Where is my card"), asked("play jazz")
    drafts = within(KNOWN, [known, unknown, unknown], [DRAFT, DRAFT, None])
    assert [draft and draft.text for draft in drafts] == ["card_arrival", "card_arrival", None]
    assert [bool(draft and draft.evidence) for draft in drafts] == [True, False, False]


def test_without_lessons_it_knows_everything():
    assert within(None, [asked("play jazz")], [DRAFT]) == [DRAFT]


def test_what_has_taught_and_what_did_before_is_familiar_and_of_nothing_or_a_share_of_0_none_is_kept():
    fit = tuple(row(text) for text in ("where is my card", "where is my new card") * 10)
    lessons = Lessons(train=(row("Where is my card?"),), validate=(row("change my pin"),), fit=fit)
    found = familiar_with(lessons, share=0.05, seed=0)
    assert found.has("where is my card") and not found.has("play jazz")
    assert not found.has("pin") and found.likeness("change my pin") == 1.0
    assert familiar_with(lessons, share=0.05, seed=0, before=KNOWN).likeness("where is my card") == 1.0
    assert familiar_with(lessons, share=0.0, seed=0) is None
    assert familiar_with(replace(lessons, train=(), validate=()), share=0.05, seed=0) is None


def test_a_row_is_its_own_by_mode_and_by_words():
    assert SCOPE.has(row("where is my card"))
    assert not SCOPE.has(row("play jazz"))
    assert not SCOPE.has(row("where is my card", response_format={"type": "json_object"}))
