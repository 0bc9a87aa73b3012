"""Every family of base models on real vLLM: a tiny one is trained, loaded and probed, and what does not fit is refused.

The weights are random; architectures, tokenizers and chat templates have the traits of the real ones. An engine is
started for each, half a minute on two cores. The numbers of docs/families.md:

    pytest -m e2e -s tests/e2e/test_families.py
"""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from bench.parts import started
from distill.adapters import WEIGHTS, AdapterError, AdapterServer, check_compatible
from distill.align import align
from distill.candidate import keep_recital
from distill.probe import Probe, probe
from distill.recital import NOTED, TOLERANCE, beginnings, distance, load_heard
from distill.render import Rendered, render, render_prompt, takes
from distill.rows import TrainingRow
from distill.student import collate, completion_logprobs, load_base, load_chat
from distill.train import TrainConfig, train
from ledger.compact import compacted
from router.teacher_logprobs import taken
from tests.distill.families import FAMILIES, Family
from tutelage.demo.plan import free_ports
from tutelage.processes import Program
from tutelage.provision import Home, ensure_vllm
from tutelage.student_server import StudentServer, command, environment

pytestmark = pytest.mark.e2e
TAUGHT, MAX_TOKENS, CONTEXT = 192, 8, 256
BYTES = {"llama", "qwen2", "qwen3"}  # whose tokens are texts wherever they stand


@dataclass(frozen=True)
class Served:
    """A family, its base model on an engine, and an adapter for it."""

    name: str
    family: Family
    base: str
    adapter: Path
    url: str
    server: AdapterServer

    def prompts(self) -> list:
        return [row.messages for row in self.family.rows(8)]

    def probe(self, name: str, adapter: Path, *, base: str | None = None) -> Probe:
        return probe(
            self.server, name, self.prompts(), base_model=base or self.base, adapter=adapter, max_tokens=MAX_TOKENS
        )


def speaking(family: Family, folder: Path, *, seed: int = 0, rows: Sequence[TrainingRow] = ()) -> str:
    """A base model that answers in words, as a real one does, and wrongly: the family's rows, where none are given."""
    raw = family.save(folder / "raw", seed=seed)
    wrong = [replace(row, completion={"yes": "no", "no": "yes"}[row.completion]) for row in rows or family.rows(TAUGHT)]
    lora = taught(raw, wrong, folder / "lora")
    PeftModel.from_pretrained(load_base(raw), lora).merge_and_unload().save_pretrained(folder / "base")
    for file in Path(raw).iterdir():
        if not (folder / "base" / file.name).exists():  # the tokenizer
            shutil.copy(file, folder / "base")
    return str(folder / "base")


def taught(base: str, rows: Sequence[TrainingRow], out: Path) -> Path:
    train(rows, (), config=TrainConfig(base, learning_rate=5e-3, epochs=4), out=out, progress=lambda _: None)
    return out


def show(words: str) -> None:
    print(f"\n{words}")  # noqa: T201  for whoever asks for it with -s


@pytest.fixture(scope="module", params=FAMILIES)
def served(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    name, home = request.param, Home.from_environment()
    work, family = tmp_path_factory.mktemp(name), FAMILIES[name]
    ensure_vllm(home, say=print)
    base = speaking(family, work)
    adapter = taught(base, family.rows(TAUGHT), work / "right")
    engine = StudentServer(
        vllm_env=home.vllm_env,
        model=base,
        served_name="base",
        port=free_ports().student,
        max_model_len=CONTEXT,
        max_loras=2,
        lora_rank=16,
    )
    url = f"http://127.0.0.1:{engine.port}"
    with started([Program("vllm", command(engine), f"{url}/health", environment(engine))], work):
        yield Served(name, family, base, adapter, url, AdapterServer(url))


def test_what_is_trained_is_what_is_served(served):
    check_compatible(served.adapter, base_model=served.base)
    served.server.load("right", served.adapter)
    found = served.probe("right", served.adapter)
    show(f"{served.name}: {found.to_adapter:.4f} nats to the adapter, {found.to_base:.2f} to the base model")
    assert found.compared == found.prompts
    # Byte for byte what was taught: no space before it, nothing after it.
    answers = [served.server.greedy("right", messages, max_tokens=MAX_TOKENS)[0] for messages in served.prompts()]
    assert answers == [row.completion for row in served.family.rows(8)]


def test_what_the_engine_has_lost_is_heard_before_it_has_its_name_again(served):
    served.server.load("right", served.adapter)
    keep_recital(served.server, "right", path=served.adapter, config=TrainConfig(served.base, max_tokens=CONTEXT))
    noted = json.loads((served.adapter / NOTED).read_text())
    base = served.server.next_tokens("base", beginnings(noted["tokens"]))
    served.server.unload("right")
    began = time.monotonic()
    load_heard(served.server, "right", served.adapter)
    took = time.monotonic() - began
    again = served.server.next_tokens("right", beginnings(noted["tokens"]))
    to_adapter, to_base = (distance(noted["said"], told) for told in (again, base))
    show(
        f"{served.name}: {len(noted['tokens'])} tokens, {to_adapter:.4f} nats from before, {to_base:.2f} from "
        f"the base model, loaded and heard in {took:.2f} s"
    )
    assert served.server.loaded() >= {"base", "right"} and not [
        name for name in served.server.loaded() if "heard" in name
    ]


def test_what_an_engine_takes_is_known(served, tmp_path):
    served.server.greedy("base", served.prompts()[0], max_tokens=1)
    assert served.server.slots() == 2
    assert served.server.most_rank(32, scratch=tmp_path) == 16 and served.server.most_rank(16, scratch=tmp_path) is None
    assert served.server.greedy("base", served.prompts()[0], max_tokens=1)


def test_every_token_of_prompts_and_answers_has_the_same_probability(served):
    """The answers alone are so certain that engines agree on them whatever they do; prompts are not."""
    served.server.load("right", served.adapter)
    chat = load_chat(served.base)
    rows = [render(chat, row) for row in served.family.rows(8)]
    student = PeftModel.from_pretrained(load_base(served.base), served.adapter).eval()
    for name, model in (("right", student), ("base", load_base(served.base).eval())):
        whole = [Rendered(row.input_ids, (False, *[True] * (len(row.input_ids) - 1))) for row in rows]
        with torch.no_grad():
            expected = completion_logprobs(model, collate(whole))
        found = torch.tensor([value for row in rows for value in engine_logprobs(served, name, row.input_ids)])
        difference = float((found - expected).abs().mean())
        show(f"{served.name}, {name}: {difference:.4f} nats apart on tokens of {-float(expected.mean()):.1f} nats")
        assert difference < TOLERANCE


def test_what_an_engine_tells_of_its_tokens_is_in_the_students(served):
    """As a teacher with the student's tokenizer tells it; what becomes of families whose tokens are pieces is shown."""
    chat, rows, places = load_chat(served.base), [], {}
    for number, row in enumerate(served.family.rows(8)):
        asked = {"model": "base", "messages": list(row.messages), "temperature": 0, "max_tokens": MAX_TOKENS}
        asked |= {"logprobs": True, "top_logprobs": 5}
        said = httpx.post(f"{served.url}/v1/chat/completions", json=asked, timeout=60.0).raise_for_status().json()
        (choice,) = said["choices"]
        rows.append(replace(row, exchange_id=str(number), completion=choice["message"]["content"]))
        places[str(number)] = taken(choice, top=5)
    found = align(chat, rows, places.items())
    show(f"{served.name}: {found.words}")
    assert len(found.targets) == len(rows) or served.name not in BYTES


def test_a_compact_prompt_is_read_as_it_is_taught(served):
    """An empty message is neither left out by the engine nor filled in by the template."""
    said = [{"role": "system", "content": "Sort."}, *served.prompts()[0][-1:]]
    chat = load_chat(served.base, unsaid="Sort.")
    if not takes(chat, said):
        pytest.skip(f"{served.name} takes no system message")
    body = {"model": "base", "messages": compacted(said, "Sort."), "add_generation_prompt": True}
    read = httpx.post(f"{served.url}/tokenize", json=body, timeout=60.0).raise_for_status().json()["tokens"]
    assert read == render_prompt(chat, said) and len(read) < len(render_prompt(load_chat(served.base), said))
    show(f"{served.name}: {len(read)} tokens, {len(render_prompt(chat, said[1:]))} without the message")


def engine_logprobs(served: Served, name: str, ids: Sequence[int]) -> list[float]:
    """What vLLM says of every token but the first."""
    body = {"model": name, "prompt": list(ids), "prompt_logprobs": 0, "max_tokens": 1, "temperature": 0}
    said = httpx.post(f"{served.url}/v1/completions", json=body, timeout=60.0).raise_for_status().json()
    entries = said["choices"][0]["prompt_logprobs"][1:]
    return [entry[str(token)]["logprob"] for entry, token in zip(entries, ids[1:], strict=True)]


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")  # peft notices too, and goes on
def test_an_adapter_whose_modules_are_named_otherwise_is_refused(served, tmp_path):
    """The engine takes it, and serves the base model under its name."""
    adapter = Path(shutil.copytree(served.adapter, tmp_path / "renamed"))
    weights = load_file(adapter / WEIGHTS)
    save_file({name.replace("model.layers", "tower.layers"): t for name, t in weights.items()}, adapter / WEIGHTS)
    with pytest.raises(AdapterError, match="no module for the tensor"):
        check_compatible(adapter, base_model=served.base)
    served.server.load("renamed", adapter)
    for asked, words in (
        (adapter, "cannot be told from the base model"),
        (served.adapter, r"0\.0\d from the base model"),
    ):
        with pytest.raises(AdapterError, match=words) as refused:
            served.probe("renamed", asked)
        show(f"{served.name}, renamed: {refused.value}")
    if (adapter / NOTED).exists():
        with pytest.raises(AdapterError, match=r"nats from the adapter's|cannot be told") as refused:
            load_heard(served.server, "unheard", adapter)
        show(f"{served.name}, renamed, heard: {refused.value}")
        (adapter / NOTED).unlink()
    with pytest.raises(AdapterError, match="cannot be told from the base model"):
        load_heard(served.server, "unheard", adapter)
    assert "unheard" not in served.server.loaded()


def test_an_adapter_for_another_base_than_the_engine_has_is_refused(served, tmp_path):
    """Of the same family and shapes, with other weights: nothing but what is served can tell."""
    other = speaking(served.family, tmp_path, seed=1)
    adapter = taught(other, served.family.rows(TAUGHT), tmp_path / "adapter")
    check_compatible(adapter, base_model=other)
    served.server.load("other", adapter)
    with pytest.raises(AdapterError, match=r"nats from the adapter's|could be compared") as refused:
        served.probe("other", adapter, base=other)
    show(f"{served.name}, of another base: {refused.value}")


def test_an_adapter_of_another_family_is_refused(served, tmp_path):
    name = "llama" if served.name == "phi3" else "phi3"
    adapter = taught(FAMILIES[name].save(tmp_path / "base"), FAMILIES[name].rows(8), tmp_path / "adapter")
    with pytest.raises(AdapterError, match="was not made for"):
        check_compatible(adapter, base_model=served.base)
    with pytest.raises(AdapterError, match="expected target modules") as refused:
        served.server.load("foreign", adapter)
    show(f"{served.name}, of {name}: {refused.value}")


def test_messages_that_the_template_refuses_are_refused_by_the_engine(served):
    rows = FAMILIES["llama"].rows(1)  # with a system message
    if served.family.system:
        assert served.server.greedy("base", rows[0].messages, max_tokens=1)
    else:
        with pytest.raises(AdapterError, match="HTTP 400") as refused:
            served.server.greedy("base", rows[0].messages, max_tokens=1)
        show(f"{served.name}, with a system message: {refused.value}")
