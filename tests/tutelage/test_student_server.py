"""The command line of vLLM read back as pairs and flags. That vLLM accepts it is for the e2e tests."""

import dataclasses
from pathlib import Path

import pytest

from tutelage import student_server
from tutelage.student_server import StudentServer, command, compute_dtype, environment


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


def test_every_field_reaches_the_command(server, tmp_path):
    python, module_flag, module, *options = command(server)
    assert [python, module_flag] == [str(tmp_path / "env/bin/python"), "-m"]
    assert module == "vllm.entrypoints.launchers.api_server.entry"
    flags = {"--enable-lora", "--enforce-eager"}
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
