from pathlib import Path
from types import SimpleNamespace

import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from tutelage.demo import local_teacher
from tutelage.demo.local_teacher import DataError, Table, answer, create_app, main, read_table

LABELS = ("cancel", "delivery", "refund")
TABLE = Table({f"message {i}": LABELS[i % 3] for i in range(6_000)}, LABELS)
MESSAGES = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "message 1"}]
# "Name the topic." is 15 characters, "message 1" 9 and "delivery" 8: 4 + 3 tokens and 4 a message, then 2.
USAGE = {"prompt_tokens": 15, "completion_tokens": 2, "total_tokens": 17}


@pytest.fixture
def http() -> TestClient:
    return TestClient(
        create_app(lambda text: answer(TABLE, text, mistakes=0.0, seed=1), model="big-teacher", latency_s=0.0)
    )


@pytest.fixture
def openai(http: TestClient) -> OpenAI:
    return OpenAI(base_url="http://testserver/v1", api_key="none", http_client=http, max_retries=0)


def test_without_mistakes_every_answer_is_the_label() -> None:
    assert all(answer(TABLE, text, mistakes=0.0, seed=1) == label for text, label in TABLE.by_text.items())


def test_the_share_of_mistakes_is_the_one_asked_for() -> None:
    # 6,000 draws at 10 %: four standard deviations are 1.6 points.
    assert share_of_mistakes(0.1, seed=1) == pytest.approx(0.1, abs=0.016)
    assert share_of_mistakes(1.0, seed=1) == 1.0


def test_mistakes_are_spread_over_the_other_labels() -> None:
    wrong = [answer(TABLE, f"message {i}", mistakes=1.0, seed=1) for i in range(0, 6_000, 3)]
    assert wrong.count("delivery") == pytest.approx(1_000, abs=90)
    assert wrong.count("refund") == 2_000 - wrong.count("delivery")


def test_the_same_text_always_gets_the_same_answer_and_another_seed_other_mistakes() -> None:
    first, again, other = (answers(0.5, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_texts_wrong_at_a_small_share_are_wrong_at_a_larger_one() -> None:
    few, many = answers(0.1, seed=1), answers(0.4, seed=1)
    right = list(TABLE.by_text.values())
    assert all(m == f for r, f, m in zip(right, few, many, strict=True) if f != r)


def test_blanks_around_a_text_do_not_count_and_an_unknown_text_has_no_answer() -> None:
    assert answer(TABLE, " message 1\n", mistakes=0.0, seed=1) == "delivery"
    assert answer(TABLE, "message", mistakes=1.0, seed=1) is None


def test_the_official_client_reads_an_answer(openai: OpenAI) -> None:
    reply = openai.chat.completions.create(model="any", messages=MESSAGES, temperature=0.7, max_tokens=5)
    assert reply.choices[0].message.content == "delivery"
    assert (reply.model, reply.choices[0].finish_reason) == ("big-teacher", "stop")
    assert reply.usage.model_dump(include=set(USAGE)) == USAGE


@pytest.mark.parametrize("include_usage", [True, False])
def test_the_official_client_reads_a_stream(openai: OpenAI, include_usage) -> None:
    chunks = list(
        openai.chat.completions.create(
            model="any", messages=MESSAGES, stream=True, stream_options={"include_usage": include_usage}
        )
    )
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "delivery"
    assert len({chunk.id for chunk in chunks}) == 1
    usages = [chunk.usage.model_dump(include=set(USAGE)) for chunk in chunks if chunk.usage]
    assert usages == ([USAGE] if include_usage else [])


def test_a_stream_ends_with_done(http: TestClient) -> None:
    reply = http.post("/v1/chat/completions", json={"model": "m", "messages": MESSAGES, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


def test_the_last_user_message_counts_in_text_parts_too(http: TestClient) -> None:
    parts = [{"type": "text", "text": "message"}, {"type": "text", "text": " 2"}]
    spoken = [*MESSAGES, {"role": "assistant", "content": "delivery"}, {"role": "user", "content": parts}]
    reply = http.post("/v1/chat/completions", json={"model": "m", "messages": spoken}).json()
    assert reply["choices"][0]["message"]["content"] == "refund"


def test_ids_are_unique(http: TestClient) -> None:
    ask = {"model": "m", "messages": MESSAGES}
    assert len({http.post("/v1/chat/completions", json=ask).json()["id"] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "m", "messages": [{"role": "user", "content": "never seen"}]}, 422, "unknown_text"),
        ({"model": "m", "messages": [{"role": "system", "content": "message 1"}]}, 400, None),
        ({"model": "m"}, 400, None),
        (["message 1"], 400, None),
    ],
)
def test_refusals_have_openai_s_shape(http: TestClient, *, body, status, code) -> None:
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)


def test_models_and_health(http: TestClient) -> None:
    assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["big-teacher"]
    assert http.get("/health").status_code == 200


def test_it_answers_no_sooner_than_its_latency(monkeypatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(local_teacher, "asyncio", SimpleNamespace(sleep=sleep))
    app = create_app(lambda _: "refund", model="m", latency_s=0.04)
    TestClient(app).post("/v1/chat/completions", json={"model": "m", "messages": MESSAGES})
    assert slept == [0.04]


def test_of_a_repeated_text_the_first_row_holds(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufefftext,label\nhi,refund\n hi ,cancel\nbye,delivery\n")
    assert read_table(path, text="text", label="label") == Table(
        {"hi": "refund", "bye": "delivery"}, ("delivery", "refund")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,topic\nhi,refund\n", "no column 'label'"),
        ("", "no column 'text'"),
        ("text,label\n", "no rows"),
        ("text,label\nhi,refund\nbye\n", "line 3: 'label' is empty"),
        ("text,label\n\udce9,refund\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, content, message) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, content), text="text", label="label")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "cannot be read"),
        ("text,label\nhi,refund\n", ["--mistakes", "0.1"], "one label only"),
        ("text,label\nhi,refund\n", ["--mistakes", "1.5"], "from 0 to 1"),
        ("text,label\nhi,refund\n", ["--latency-ms", "-1"], "not negative"),
    ],
)
def test_the_command_line_refuses_with_status_2(tmp_path: Path, capsys, *, content, options, message) -> None:
    path = tmp_path / "none.csv" if content is None else written(tmp_path, content)
    with pytest.raises(SystemExit) as stopped:
        main(["--data", str(path), "--port", "1", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def written(folder: Path, content: str) -> Path:
    path = folder / "task.csv"
    path.write_bytes(content.encode("utf-8", errors="surrogateescape"))
    return path


def answers(mistakes: float, *, seed: int) -> list[str | None]:
    return [answer(TABLE, text, mistakes=mistakes, seed=seed) for text in TABLE.by_text]


def share_of_mistakes(mistakes: float, *, seed: int) -> float:
    right = TABLE.by_text.values()
    return sum(a != r for a, r in zip(answers(mistakes, seed=seed), right, strict=True)) / len(right)
