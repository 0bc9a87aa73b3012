"""Plain HTTP on both routes: what client libraries forgive, and others do not."""

import httpx
import pytest

from tests.wire.answers import COUNTED, TEXT, WORDS
from tests.wire.reading import check_completion, check_stream
from tests.wire.rig import KEY, MESSAGES, ROUTES
from tests.wire.upstream import slow

pytestmark = pytest.mark.e2e
both_routes = pytest.mark.parametrize(("model", "route"), ROUTES)


@both_routes
@pytest.mark.parametrize("include_usage", [True, False, None])
def test_a_stream_keeps_every_rule_and_its_chunks_are_the_unstreamed_text(rig, model, route, *, include_usage):
    options = {} if include_usage is None else {"stream_options": {"include_usage": include_usage}}
    streamed, whole = rig.ask(model, stream=True, **options), rig.ask(model)
    check_stream(streamed, route=route, model=model, include_usage=bool(include_usage))
    check_completion(whole, route=route, model=model)
    (choice,) = whole.json["choices"]
    assert streamed.text == choice["message"]["content"] == TEXT
    assert streamed.finish_reasons == [choice["finish_reason"]] == ["stop"]
    counted = {"prompt_tokens": COUNTED, "completion_tokens": len(WORDS), "total_tokens": COUNTED + len(WORDS)}
    assert whole.json["usage"] == counted
    assert [chunk["usage"] for chunk in streamed.chunks if chunk.get("usage")] == [counted] * bool(include_usage)


@both_routes
@pytest.mark.parametrize("stop", ["depot", ["nowhere", "depot"]])
@pytest.mark.parametrize("stream", [False, True])
def test_stop_is_honoured(rig, model, route, *, stop, stream):
    reply = rig.ask(model, stop=stop, stream=stream)
    text = reply.text if stream else reply.json["choices"][0]["message"]["content"]
    assert (reply.headers["x-tutelage-route"], text) == (route, "The parcel left the ")


@both_routes
def test_log_probabilities_come_where_they_are_asked_for_and_only_there(rig, model, route):
    plain = rig.ask(model)
    assert plain.headers["x-tutelage-route"] == route
    assert plain.json["choices"][0]["logprobs"] is None
    asked = rig.ask(model, logprobs=True, top_logprobs=2).json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in asked) == TEXT


@both_routes
def test_nothing_of_the_upstreams_shows_through(rig, model, route):
    for stream in (False, True):
        reply = rig.ask(model, stream=stream)
        assert reply.headers["x-tutelage-route"] == route
        assert b"upstream-" not in reply.content and "server" not in reply.headers


@both_routes
def test_every_request_has_an_id_of_its_own(rig, model, route):
    replies = [rig.ask(model) for _ in range(3)]
    assert {reply.headers["x-tutelage-route"] for reply in replies} == {route}
    assert len({reply.json["id"] for reply in replies}) == len({r.headers["x-request-id"] for r in replies}) == 3


@both_routes
def test_chunks_come_as_they_are_made_where_the_answer_is_decided(rig, model, route):
    if model == "desk":
        pytest.skip("judged by its whole draft: everything comes at once, when it is decided")
    body = {"model": model, "messages": MESSAGES, "stream": True}
    paced = slow(between_s=0.05)  # chunks that are there at once may well be sent in one piece
    with (
        rig.student.doing(paced),
        rig.teacher.doing(paced),
        rig.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        assert response.headers["x-tutelage-route"] == route
        assert len([*response.iter_bytes()]) > 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_teacher_behind_litellm_looks_the_same(rig, stream):
    reply = rig.ask("lite", stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
    if stream:
        check_stream(reply, route="teacher", model="lite", include_usage=True)
        assert reply.text == TEXT
    else:
        check_completion(reply, route="teacher", model="lite")


def test_one_connection_serves_many_requests(rig):
    with httpx.Client(base_url=rig.url, headers={"authorization": f"Bearer {KEY}"}) as client:
        ports = set()
        for model, route in ROUTES * 2:
            body = {"model": model, "messages": MESSAGES, "stream": model == "essay"}
            reply = client.post("/v1/chat/completions", json=body)
            assert reply.headers["x-tutelage-route"] == route
            ports.add(reply.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1
