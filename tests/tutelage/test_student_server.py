"""The command line of vLLM read back as pairs and flags. That vLLM accepts it is for the e2e tests."""

import dataclasses
import json
from pathlib import Path

import pytest

from router.distill_settings import DistillSettings
from router.settings import Settings
from tutelage import student_server
from tutelage.student_server import (
    Room,
    StudentServer,
    command,
    compute_dtype,
    environment,
    gpu_memory_share,
    room,
)


@pytest.fixture
def server(tmp_path: Path) -> StudentServer:
    return StudentServer(
        vllm_env=tmp_path / "env",
        model=str(tmp_path),
        served_name="base",
        port=8901,
        max_model_len=2048,
        max_loras=2,
        lora_rank=16,
    )


@pytest.mark.parametrize(
    ("gpu", "flags", "where"),
    [
        (False, {"--enforce-eager"}, {"--block-size": "32"}),
        (True, set(), {"--gpu-memory-utilization": "0.7"}),
    ],
)
def test_every_field_reaches_the_command(server, tmp_path, monkeypatch, *, gpu, flags, where):
    monkeypatch.setattr(student_server, "has_gpu", lambda: gpu)
    python, module_flag, module, *options = command(dataclasses.replace(server, gpu_memory_share=0.7))
    assert [python, module_flag] == [str(tmp_path / "env/bin/python"), "-m"]
    assert module == "vllm.entrypoints.launchers.api_server.entry"
    flags = flags | {"--enable-lora"}
    assert flags <= set(options)
    pairs = [option for option in options if option not in flags]
    assert dict(zip(pairs[::2], pairs[1::2], strict=True)) == {
        "--model": str(tmp_path),
        "--served-model-name": "base",
        "--host": "127.0.0.1",
        "--port": "8901",
        "--dtype": compute_dtype(),
        "--max-model-len": "2048",
        "--max-loras": "2",
        "--max-cpu-loras": "2",
        "--max-lora-rank": "16",
        "--max-logprobs": "20",
        **where,
    }


def test_adapters_load_at_run_time_and_nothing_is_reported(server):
    variables = environment(server)
    assert variables["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert variables["VLLM_NO_USAGE_STATS"] == variables["DO_NOT_TRACK"] == "1"


def test_of_few_cores_none_is_set_aside(server, monkeypatch):
    for cores, reserved in [(2, "0"), (4, "0"), (8, None), (None, "0")]:
        monkeypatch.setattr(student_server.os, "cpu_count", lambda cores=cores: cores)
        assert environment(server).get("VLLM_CPU_NUM_OF_RESERVED_CPU") == reserved


def test_the_hub_is_asked_only_for_a_model_that_is_not_a_folder(server):
    assert environment(server)["HF_HUB_OFFLINE"] == "1"
    hub = dataclasses.replace(server, model="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert "HF_HUB_OFFLINE" not in environment(hub)


@pytest.mark.parametrize("preload", ["/usr/lib/a.so:/env/b.so", None])
def test_preloads_what_there_is(server, monkeypatch, preload):
    monkeypatch.setattr(student_server, "tcmalloc_preload", lambda vllm_env: preload)
    assert environment(server).get("LD_PRELOAD") == preload


@pytest.mark.parametrize(
    ("flags", "gpu", "dtype"),
    [
        ("flags : fpu avx2 avx512_bf16 avx", False, "float32"),
        ("flags : fpu amx_bf16 avx", False, "bfloat16"),
        ("flags : fpu avx avx2", False, "float32"),
        ("flags : fpu avx avx2", True, "bfloat16"),
    ],
)
def test_bfloat16_only_where_it_is_computed(tmp_path, monkeypatch, *, flags, gpu, dtype):
    (tmp_path / "cpuinfo").write_text(flags + "\n")
    monkeypatch.setattr(student_server, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(student_server, "has_gpu", lambda: gpu)
    assert compute_dtype() == dtype


@pytest.fixture
def settings(tmp_path):
    price = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}
    return Settings(
        teachers={"big": {"model": "openai/big"}},
        student={"base_model": "m", "price": price, "adapters_dir": tmp_path / "adapters"},
        tasks={"desk": {"teacher": "big"}, "shop": {"teacher": "big"}},
    )


def test_there_is_room_for_champions_canaries_a_candidate_and_the_best_so_far(settings):
    assert room(settings) == Room(loras=6, cpu_loras=12, rank=16)
    at_once = settings.model_copy(update={"canary": settings.canary.model_copy(update={"share": 1.0})})
    assert room(at_once) == Room(loras=4, cpu_loras=8, rank=16)


@pytest.mark.parametrize(("wanted", "rank"), [(1, 1), (4, 8), (16, 16), (17, 32), (256, 256)])
def test_the_highest_rank_is_one_that_vllm_can_be_given(settings, wanted, rank):
    changed = settings.model_copy(update={"distill": settings.distill.model_copy(update={"rank": wanted})})
    assert room(changed).rank == rank


def test_a_rank_that_is_tried_can_be_loaded(settings):
    changed = DistillSettings(also_try=({"rank": 64}, {"learning_rate": 1e-4}))
    assert room(settings.model_copy(update={"distill": changed})).rank == 64


def test_an_adapter_of_a_higher_rank_from_before_can_still_be_loaded(settings):
    for name, text in (("a--v1", json.dumps({"r": 64})), ("a--v2", "{"), ("a--v3", "{}"), ("a--v4", '{"r": "x"}')):
        folder = settings.student.adapters_dir / name
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(text)
    assert room(settings).rank == 64


@pytest.mark.parametrize(
    ("there", "training", "said", "share"),
    [(0, 1, None, 0.5), (1, 1, None, 0.5), (2, 1, None, 0.9), (4, 4, None, 0.5), (4, 3, None, 0.9), (1, 1, 0.8, 0.8)],
)
def test_vllm_leaves_room_for_a_training_on_its_gpu(settings, monkeypatch, *, there, training, said, share):
    monkeypatch.setattr(student_server, "gpus", lambda: there)
    changed = {
        "distill": DistillSettings(gpus=training, batch_size=12),
        "student": settings.student.model_copy(update={"gpu_memory_share": said}),
    }
    assert gpu_memory_share(settings.model_copy(update=changed)) == share
