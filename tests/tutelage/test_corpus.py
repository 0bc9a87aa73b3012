import csv
import itertools
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from datasketch import MinHash, MinHashLSH

from tutelage.demo import corpus
from tutelage.demo.corpus import MAX_LENGTH, generate, length, main, templates, write_csv
from tutelage.demo.phrases import CLOSINGS, DETAILS, INTENTS, OPENINGS, SLOTS

SPLITS = ("train", "serve")
FEWEST = {"train": 14, "serve": 10}


@pytest.fixture(scope="module", params=SPLITS)
def messages(request) -> list[tuple[str, str]]:
    return list(generate(rows=1_500, seed=1, split=request.param))


def test_the_same_arguments_give_the_same_messages() -> None:
    first, again, other = (list(generate(rows=50, seed=seed, split="train")) for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)


def test_more_rows_begin_with_the_fewer() -> None:
    assert list(generate(rows=80, seed=1, split="serve"))[:50] == list(generate(rows=50, seed=1, split="serve"))


def test_splits_share_no_sentence_of_any_intent() -> None:
    for intent in INTENTS:
        train, serve = (set(map(clauses, templates(split)[intent])) for split in SPLITS)
        assert len(train) == len(templates("train")[intent])
        assert not train & serve, intent


def test_splits_share_no_opening_detail_or_closing() -> None:
    train, serve = (
        [*OPENINGS[split].values(), DETAILS[split], *CLOSINGS[split].values()]  # each a set of choices in one string
        for split in SPLITS
    )
    assert not choices(train) & choices(serve)


def test_no_message_of_one_split_is_in_the_other() -> None:
    train, serve = ({digits_folded(text) for text, _ in generate(rows=1_500, seed=1, split=s)} for s in SPLITS)
    assert not train & serve


@pytest.mark.parametrize("split", SPLITS)
def test_every_intent_has_templates_that_vary(split) -> None:
    assert templates(split).keys() == INTENTS.keys()
    for intent, sentences in templates(split).items():
        assert len(sentences) >= FEWEST[split], intent
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


def test_intents_come_in_their_shares(messages) -> None:
    assert sum(INTENTS.values()) == 100
    counts = Counter(intent for _, intent in messages)
    for intent, percent in INTENTS.items():
        spread = (1_500 * percent / 100 * (1 - percent / 100)) ** 0.5
        assert abs(counts[intent] - 1_500 * percent / 100) <= 4 * spread, intent


def test_near_duplicates_are_rare(messages) -> None:
    shingles = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (digits_folded(t) for t, _ in messages)]
    assert near_duplicates(shingles) <= 0.05 * len(shingles)
    assert near_duplicates([shingles[0], shingles[0], shingles[1]]) == 2  # the measure sees what it should


def test_splits_differ_in_wording_and_share_the_language() -> None:
    train, serve = (
        {word for text, _ in generate(rows=1_500, seed=1, split=split) for word in re.findall(r"[a-z]+", text.lower())}
        for split in SPLITS
    )
    assert {"refund", "parcel", "password", "invoice", "warranty"} <= train & serve
    assert len(serve - train) > 100


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
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows] == ["train"] * 30 + ["serve"] * 20
    assert [(row["text"], row["label"]) for row in rows[30:]] == list(generate(rows=20, seed=3, split="serve"))
    again = tmp_path / "again.csv"
    write_csv(again, train_rows=30, serve_rows=20, seed=3)
    assert again.read_bytes() == path.read_bytes()


def test_a_folder_that_is_missing_is_told(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "none" / "desk.csv"), "--train", "1", "--serve", "1", "--seed", "3"])
    assert stopped.value.code == 2
    assert "cannot write" in capsys.readouterr().err


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
