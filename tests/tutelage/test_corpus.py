import csv
import itertools
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from datasketch import MinHash, MinHashLSH

from tutelage.demo import corpus
from tutelage.demo.corpus import GOES_ON, MAX_LENGTH, OLD_WORDING, SPLITS, generate, length, main, templates, write_csv
from tutelage.demo.phrases import CLOSINGS, DETAILS, INTENTS, MERGED, OPENINGS, SLOTS

FEWEST = {"train": 14, "serve": 10, "drift-train": 6, "drift-serve": 6}  # of drifted traffic: per older intent
FEWEST_NEW = 16  # per intent that comes with the drift
TAUGHT, JUDGED = ("train", "drift-train"), ("serve", "drift-serve")
PAIRS = list(itertools.combinations(SPLITS, 2))


@pytest.fixture(scope="module", params=SPLITS)
def messages(request) -> list[tuple[str, str]]:
    return list(generate(rows=1_500, seed=1, split=request.param))


def test_the_same_arguments_give_the_same_messages() -> None:
    for split in ("train", "drift-train"):
        first, again, other = (list(generate(rows=50, seed=seed, split=split)) for seed in (1, 1, 2))
        assert first == again
        assert not set(first) & set(other)


@pytest.mark.parametrize("split", JUDGED)
def test_more_rows_begin_with_the_fewer(split) -> None:
    assert list(generate(rows=80, seed=1, split=split))[:50] == list(generate(rows=50, seed=1, split=split))


@pytest.mark.parametrize("split", SPLITS)
def test_no_sentence_of_an_intent_stands_twice(split) -> None:
    for intent, sentences in templates(split).items():
        assert len(set(map(clauses, sentences))) == len(sentences), intent


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_splits_share_no_sentence_of_any_intent(one, other) -> None:
    for intent in templates(one).keys() & templates(other).keys():
        ours, theirs = (set(map(clauses, templates(split)[intent])) for split in (one, other))
        assert not ours & theirs, intent


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_splits_share_no_opening_detail_or_closing(one, other) -> None:
    ours, theirs = (
        [*OPENINGS[split].values(), DETAILS[split], *CLOSINGS[split].values()]  # each a set of choices in one string
        for split in (one, other)
    )
    assert not choices(ours) & choices(theirs)


def test_no_message_that_teaches_is_among_those_that_judge() -> None:
    taught, judged = (
        {digits_folded(text) for split in splits for text, _ in generate(rows=1_500, seed=1, split=split)}
        for splits in (TAUGHT, JUDGED)
    )
    assert not taught & judged


@pytest.mark.parametrize("split", SPLITS)
def test_every_intent_has_templates_that_vary(split) -> None:
    assert templates(split).keys() == INTENTS[split].keys()
    for intent, sentences in templates(split).items():
        assert len(sentences) >= (FEWEST[split] if intent in INTENTS["train"] else FEWEST_NEW), intent
        for sentence in sentences:
            assert len(re.findall(r"[({]", sentence)) >= 2, sentence
            assert sentence.count("(") == sentence.count(")")
            assert set(re.findall(r"\{(\w+)\}", sentence)) <= SLOTS.keys()


@pytest.mark.parametrize("split", SPLITS)
def test_every_template_fits_without_its_frame(split) -> None:
    # The generator draws until a message fits: it must not draw for ever.
    rng = random.Random(1)
    for sentence in itertools.chain.from_iterable(templates(split).values()):
        fits = [len(text.split()) >= 6 and length(text) <= MAX_LENGTH for text in expansions(rng, sentence)]
        assert sum(fits) >= len(fits) / 2, sentence


def test_texts_are_whole_and_within_bounds(messages) -> None:
    texts = [text for text, _ in messages]
    assert len(set(texts)) == len(texts) == 1_500
    assert [text for text in texts if re.search(r"[(){}|@]|  |\s$|^\s", text)] == []
    assert all(6 <= len(text.split()) <= 40 and length(text) <= MAX_LENGTH for text in texts)


@pytest.mark.parametrize("split", SPLITS)
def test_intents_come_in_their_shares(split) -> None:
    assert sum(INTENTS[split].values()) == 100
    shares: Counter[str] = Counter()
    for intent, percent in INTENTS[split].items():
        shares[MERGED.get(split, {}).get(intent, intent)] += percent
    counts = Counter(label for _, label in generate(rows=1_500, seed=1, split=split))
    assert counts.keys() == shares.keys()
    for label, percent in shares.items():
        assert abs(counts[label] - 1_500 * percent / 100) <= 4 * spread(1_500, percent / 100), label


@pytest.mark.parametrize("split", OLD_WORDING)
def test_the_same_message_gets_another_answer_after_the_drift(split) -> None:
    assert not MERGED.keys() & OLD_WORDING.values()  # steady traffic keeps its names
    labels = {label for _, label in generate(rows=1_500, seed=1, split=split)}
    assert not labels & MERGED[split].keys()
    older = INTENTS[OLD_WORDING[split]].keys()
    assert MERGED[split].keys() < older and set(MERGED[split].values()) < older
    moved = sum(INTENTS[split][intent] for intent in MERGED[split])
    assert 0.2 <= moved / sum(INTENTS[split][intent] for intent in older) <= 0.25


@pytest.mark.parametrize("split", OLD_WORDING)
def test_drifted_traffic_is_much_about_what_is_new(split) -> None:
    new = INTENTS[split].keys() - INTENTS[OLD_WORDING[split]].keys()
    assert len(new) == 4
    assert 40 <= sum(INTENTS[split][intent] for intent in new) <= 45


@pytest.mark.parametrize("split", OLD_WORDING)
def test_old_wording_goes_on_in_its_share_of_the_older_intents(split) -> None:
    rng = random.Random(1)
    older = Counter(corpus._wording(rng, "refund", split=split) for _ in range(400))
    assert older.keys() == {split, OLD_WORDING[split]}
    assert abs(older[split] - 400 * (1 - GOES_ON)) <= 4 * spread(400, GOES_ON)
    assert {corpus._wording(rng, "rental", split=split) for _ in range(50)} == {split}


def test_near_duplicates_are_rare(messages) -> None:
    shingles = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (digits_folded(t) for t, _ in messages)]
    assert near_duplicates(shingles) <= 0.05 * len(shingles)
    assert near_duplicates([shingles[0], shingles[0], shingles[1]]) == 2  # the measure sees what it should


@pytest.mark.parametrize(
    ("taught", "judged", "shared"),
    [
        ("train", "serve", {"refund", "parcel", "password", "invoice", "warranty"}),
        ("drift-train", "drift-serve", {"refund", "password", "deposit", "initials", "scrap", "till"}),
    ],
)
def test_splits_differ_in_wording_and_share_the_language(taught, judged, shared) -> None:
    ours, theirs = (
        {word for text, _ in generate(rows=1_500, seed=1, split=split) for word in re.findall(r"[a-z]+", text.lower())}
        for split in (taught, judged)
    )
    assert shared <= ours & theirs
    assert len(theirs - ours) > 100


def test_slips_change_few_letters() -> None:
    slipped = [corpus._misspell(rng, "delivery") for rng in map(random.Random, range(60))]
    assert "delivery" not in slipped[:3]
    assert {len(word) for word in slipped} == {7, 8, 9}
    assert all(word[0] == "d" and set(word) <= set("delivery") for word in slipped)


@pytest.mark.parametrize(
    ("clean", "contracted"),
    [
        ("it is late and I do not know where it is now", "it's late and I don't know where it is now"),
        ("Hello, I am out. That is all, you cannot call", "Hello, I'm out. That's all, you can't call"),
        ("it will not start, we are at a loss", "it won't start, we're at a loss"),
    ],
)
def test_contractions_leave_the_end_of_a_clause_alone(clean, contracted) -> None:
    assert corpus._contract(clean, apostrophe="'") == contracted


def test_csv_holds_train_rows_first(tmp_path: Path) -> None:
    path = tmp_path / "desk.csv"
    main([str(path), "--train", "30", "--serve", "20", "--seed", "3"])
    rows = read(path)
    assert [row["part"] for row in rows] == ["train"] * 30 + ["serve"] * 20
    assert [(row["text"], row["label"]) for row in rows[30:]] == list(generate(rows=20, seed=3, split="serve"))
    again = tmp_path / "again.csv"
    write_csv(again, rows={"train": 30, "serve": 20}, seed=3)
    assert again.read_bytes() == path.read_bytes()


def test_csv_holds_drifted_rows_last_and_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    steady, drifted = tmp_path / "steady.csv", tmp_path / "drifted.csv"
    sizes = ["--train", "30", "--serve", "20", "--seed", "3"]
    main([str(steady), *sizes])
    main([str(drifted), *sizes, "--drift-train", "12", "--drift-serve", "9"])
    rows = read(drifted)
    assert rows[:50] == read(steady)
    assert [row["part"] for row in rows[50:]] == ["drift-train"] * 12 + ["drift-serve"] * 9
    assert [(row["text"], row["label"]) for row in rows[62:]] == list(generate(rows=9, seed=3, split="drift-serve"))


def test_a_folder_that_is_missing_is_told(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "none" / "desk.csv"), "--train", "1", "--serve", "1", "--seed", "3"])
    assert stopped.value.code == 2
    assert "cannot write" in capsys.readouterr().err


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def spread(draws: int, share: float) -> float:
    """The standard deviation of how many of so many draws fall into a share."""
    return (draws * share * (1 - share)) ** 0.5


def expansions(rng: random.Random, template: str) -> list[str]:
    return [corpus._expand(rng, template) for _ in range(20)]


def clauses(template: str) -> str:
    """What is fixed in a template, in letters only: two templates with the same clauses are the same sentence."""
    return re.sub(r"[^a-z]+", " ", re.sub(r"\([^()]*\)|\{\w+\}", " ", template.lower())).strip()


def choices(texts: list[str]) -> set[str]:
    return {choice.strip() for text in texts for choice in re.split(r"\|(?![^()]*\))", text)}


def digits_folded(text: str) -> str:
    return re.sub(r"\d", "0", text.lower())


def near_duplicates(shingles: list[set[str]]) -> int:
    """How many have another one at Jaccard >= 0.8; MinHash proposes, the exact figure decides."""
    index, hashes = MinHashLSH(threshold=0.7, num_perm=64), []
    for at, each in enumerate(shingles):
        hashed = MinHash(num_perm=64)
        hashed.update_batch([shingle.encode() for shingle in each])
        hashes.append(hashed)
        index.insert(at, hashed)
    return sum(
        any(other != at and jaccard(shingles[at], shingles[other]) >= 0.8 for other in index.query(hashed))
        for at, hashed in enumerate(hashes)
    )


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)
