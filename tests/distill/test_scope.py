from calibration.familiar import Familiar
from distill.rows import TrainingRow
from distill.scope import Scope, within
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


def test_what_it_does_not_know_is_drafted_and_never_accepted():
    known, unknown = asked("Where is my card"), asked("play jazz")
    drafts = within(KNOWN, [known, unknown, unknown], [DRAFT, DRAFT, None])
    assert [draft and draft.text for draft in drafts] == ["card_arrival", "card_arrival", None]
    assert [bool(draft and draft.evidence) for draft in drafts] == [True, False, False]


def test_without_lessons_it_knows_everything():
    assert within(None, [asked("play jazz")], [DRAFT]) == [DRAFT]


def test_a_row_is_its_own_by_mode_and_by_words():
    def row(text, **params):
        return TrainingRow("a", tuple(asked(text)["messages"]), "x", "stop", params=params)

    assert SCOPE.has(row("where is my card"))
    assert not SCOPE.has(row("play jazz"))
    assert not SCOPE.has(row("where is my card", response_format={"type": "json_object"}))
