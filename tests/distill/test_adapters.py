import functools
import json
import shutil
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file

from distill import adapters
from distill.adapters import AdapterError, AdapterServer, EngineDown, check_compatible, verify
from tests.distill import tiny


@pytest.fixture
def adapter(trained, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(trained[0], tmp_path / "copy")


def reconfigure(adapter, **changes):
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_an_untouched_copy_verifies(trained, adapter):
    verify(adapter, expected=adapters.digest(trained[0]))


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(adapter, name):
    digest = adapters.digest(adapter)
    (adapter / name).unlink()
    with pytest.raises(AdapterError, match=name):
        verify(adapter, expected=digest)


def test_a_truncated_adapter_is_refused(adapter, base):
    digest = adapters.digest(adapter)
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(AdapterError, match="altered"):
        verify(adapter, expected=digest)
    with pytest.raises(AdapterError, match="cut off"):
        check_compatible(adapter, base_model=base)


def test_one_flipped_bit_is_an_altered_adapter(adapter):
    digest = adapters.digest(adapter)
    weights = adapter / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(AdapterError, match="altered"):
        verify(adapter, expected=digest)


def test_an_altered_configuration_is_an_altered_adapter(adapter):
    digest = adapters.digest(adapter)
    reconfigure(adapter, lora_alpha=64)
    with pytest.raises(AdapterError, match="altered"):
        verify(adapter, expected=digest)


def test_an_adapter_of_its_base_is_compatible(adapter, base):
    check_compatible(adapter, base_model=base)


def test_a_base_of_another_shape_is_refused(adapter, tmp_path):
    with pytest.raises(AdapterError, match=r"has size \d+ where the module has"):
        check_compatible(adapter, base_model=tiny.save(tmp_path / "wider", hidden=48))


def test_an_adapter_that_names_another_base_of_the_same_shapes_is_refused(adapter, base, tmp_path):
    other = tiny.save(tmp_path / "other", seed=1)
    for named in (other, "org/of-which-there-is-nothing-here"):
        reconfigure(adapter, base_model_name_or_path=named)
        with pytest.raises(AdapterError, match=f"was not made for {base}: it fits, and names {named}"):
            check_compatible(adapter, base_model=base)


def test_a_base_by_another_name_for_its_folder_is_the_same(adapter, base, tmp_path):
    (tmp_path / "link").symlink_to(base)
    check_compatible(adapter, base_model=str(tmp_path / "link"))
    reconfigure(adapter, base_model_name_or_path=None)  # which says nothing
    check_compatible(adapter, base_model=base)


def test_a_base_without_weights_is_refused(adapter, tmp_path):
    with pytest.raises(AdapterError, match="no safetensors"):
        check_compatible(adapter, base_model=str(tmp_path))


@pytest.mark.parametrize(
    "extra", [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}, {"lora_bias": True}]
)
def test_more_than_a_plain_lora_is_refused(adapter, base, extra):
    reconfigure(adapter, **extra)
    with pytest.raises(AdapterError, match="plain LoRA"):
        check_compatible(adapter, base_model=base)


def test_a_module_that_the_base_lacks_is_refused(adapter, base):
    weights = load_file(adapter / "adapter_model.safetensors")
    renamed = {name.replace("q_proj", "query"): tensor for name, tensor in weights.items()}
    save_file(renamed, adapter / "adapter_model.safetensors")
    with pytest.raises(AdapterError, match="no module"):
        check_compatible(adapter, base_model=base)


def test_half_a_pair_is_refused(adapter, base):
    weights = load_file(adapter / "adapter_model.safetensors")
    weights.pop(next(name for name in weights if "lora_B" in name))
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(AdapterError, match="no counterpart"):
        check_compatible(adapter, base_model=base)


def test_pickled_weights_are_refused(adapter, base):
    """vLLM would load them."""
    weights = adapter / "adapter_model.safetensors"
    torch.save(load_file(weights), adapter / "adapter_model.bin")
    weights.unlink()
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors is missing"):
        check_compatible(adapter, base_model=base)


def test_an_empty_folder_is_an_adapter_error(tmp_path, base):
    with pytest.raises(AdapterError, match="cannot be read"):
        check_compatible(tmp_path, base_model=base)


class FakeEngine:
    """vLLM's adapter routes, as version 0.32 answers them. Every prompt goes on as its base model does, or as the
    adapter does, by the length of its folder's name; `ignores`: it takes adapters and does not apply them; `mute`: it
    does not tell its version.
    """

    def __init__(self, *, ignores=False, base=-3.0, max_rank=16):
        self.folders, self.asked = {}, []
        self.ignores, self.base, self.max_rank, self.down = ignores, base, max_rank, False
        self.mute = False

    def __call__(self, request):
        if self.down:
            raise httpx.ConnectError("refused")
        answer = {
            "/v1/models": self.models,
            "/v1/load_lora_adapter": self.load,
            "/v1/unload_lora_adapter": self.unload,
            "/v1/completions": self.complete,
        }
        if request.url.path == "/version":
            if self.mute:
                return error(503, "not now")
            return httpx.Response(200, json={"version": "0.32.0"})
        if request.url.path == "/metrics":
            return httpx.Response(200, text=METRICS if self.asked else "")
        return answer[request.url.path](json.loads(request.content or "{}"))

    def complete(self, body):
        name = body["model"]
        if name not in {"base", *self.folders}:
            return error(404, f"The model `{name}` does not exist.")
        assert "prompt_logprobs" not in body and (body["temperature"], body["max_tokens"]) == (0, 1)
        self.asked.append(name)
        value = self.base if name == "base" or self.ignores else -float(len(Path(self.folders[name]).name))
        told = [{"top_logprobs": [{"token_id:7": value, "token_id:8": -99.0}]} for _ in body["prompt"]]
        choices = [{"index": i, "text": "", "logprobs": place} for i, place in enumerate(told)]
        return httpx.Response(200, json={"choices": choices[::-1]})

    def models(self, body):
        base = {"id": "base", "root": "/models/base", "parent": None}
        return httpx.Response(
            200, json={"data": [base, *({"id": n, "root": r, "parent": "base"} for n, r in self.folders.items())]}
        )

    def load(self, body):
        assert "load_inplace" not in body
        if body["lora_name"] in self.folders:
            return error(400, f"The lora adapter '{body['lora_name']}' has already been loaded.")
        config = Path(body["lora_path"]) / "adapter_config.json"
        if config.exists():
            if (rank := json.loads(config.read_text())["r"]) > self.max_rank:
                return error(500, f"LoRA rank {rank} is greater than max_lora_rank {self.max_rank}.")
            if not config.with_name("adapter_model.safetensors").exists():
                return error(404, "No adapter found for it")
        self.folders[body["lora_name"]] = body["lora_path"]
        return httpx.Response(200, text="Success")

    def unload(self, body):
        if self.folders.pop(body["lora_name"], None) is None:
            return error(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
        return httpx.Response(200, text="Success")


METRICS = """# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{max_lora="2",running_lora_adapters="",waiting_lora_adapters=""} 1.7e+09
"""


def error(status, message):
    return httpx.Response(status, json={"error": {"message": message, "type": "x", "code": status}})


@pytest.fixture
def server(monkeypatch):
    return serve(monkeypatch, FakeEngine())


def serve(monkeypatch, handler):
    transport = httpx.MockTransport(handler)
    monkeypatch.setattr(httpx, "Client", functools.partial(httpx.Client, transport=transport))
    return AdapterServer("http://student")


def test_adapters_come_and_go(server, tmp_path):
    server.load("task--v000001", tmp_path / "a")
    server.load("task--v000002", tmp_path / "b")
    assert server.loaded() == {"base", "task--v000001", "task--v000002"}
    server.unload("task--v000001")
    assert server.loaded() == {"base", "task--v000002"}
    assert server.version() == "0.32.0"


def test_loading_the_same_folder_again_is_no_matter_but_another_is(server, tmp_path):
    server.load("task--v000001", tmp_path / "a")
    server.load("task--v000001", tmp_path / "a")
    with pytest.raises(AdapterError, match="already been loaded"):
        server.load("task--v000001", tmp_path / "b")


def test_the_servers_words_arrive(server):
    with pytest.raises(AdapterError, match=r"HTTP 404.*cannot be found"):
        server.unload("absent")


def test_how_prompts_go_on_is_told_of_the_adapter_that_is_asked(server, tmp_path):
    server.load("task--v000001", tmp_path / "a")
    assert server.next_tokens("task--v000001", [[5], [5, 6]]) == [{"token_id:7": -1.0, "token_id:8": -99.0}] * 2
    assert server.next_tokens("base", ["three short words"]) == [{"token_id:7": -3.0, "token_id:8": -99.0}]
    with pytest.raises(AdapterError, match="HTTP 404"):
        server.next_tokens("absent", [[5, 6]])


@pytest.mark.parametrize(
    "choices", [None, [], [{"index": 0, "logprobs": None}], [{"index": 0, "logprobs": {"top_logprobs": [{}]}}]]
)
def test_drafts_without_log_probabilities_are_an_adapter_error(monkeypatch, choices):
    server = serve(monkeypatch, lambda _: httpx.Response(200, json={"choices": choices}))
    with pytest.raises(AdapterError, match="http://student gives"):
        server.next_tokens("base", [[5, 6]])


def test_how_many_adapters_have_room_is_known_from_the_first_request_on(server):
    assert server.slots() is None
    server.next_tokens("base", [[5, 6]])
    assert server.slots() == 2


def test_the_highest_rank_is_found_without_an_adapter_of_it(server, tmp_path):
    assert server.most_rank(32, scratch=tmp_path) == 16
    assert server.most_rank(16, scratch=tmp_path) is None
    assert server.loaded() == {"base"} and list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_an_adapter_error(monkeypatch, tmp_path):
    def down(request):
        raise httpx.ConnectError("refused")

    server = serve(monkeypatch, down)
    with pytest.raises(AdapterError, match="cannot be reached"):
        server.loaded()
    with pytest.raises(EngineDown, match="cannot be reached"):
        server.load("task--v000001", tmp_path, patience_s=0.01)


def test_loading_waits_for_an_engine_that_is_started_again(monkeypatch, tmp_path):
    monkeypatch.setattr(adapters, "LOOK_S", 0.001)
    engine, starts = FakeEngine(), iter(range(3))

    def starting(request):
        if next(starts, None) is not None:
            raise httpx.ConnectError("refused")
        return engine(request)

    server = serve(monkeypatch, starting)
    with pytest.raises(EngineDown, match="cannot be reached"):
        server.load("task--v000001", tmp_path)
    server.load("task--v000001", tmp_path, patience_s=5.0)
    assert engine.folders == {"task--v000001": str(tmp_path)}


@pytest.fixture
def hub(base, tmp_path, monkeypatch):
    """The hub's cache with the base model in it, as org/toy."""
    shutil.copytree(base, tmp_path / "models--org--toy/snapshots/abc")
    (tmp_path / "models--org--toy/refs").mkdir()
    (tmp_path / "models--org--toy/refs/main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("hub")
def test_a_base_model_of_the_hub_is_found_in_its_cache(adapter):
    reconfigure(adapter, base_model_name_or_path="org/toy")
    check_compatible(adapter, base_model="org/toy")
    with pytest.raises(AdapterError, match="org/other is neither a folder nor"):
        check_compatible(adapter, base_model="org/other")
