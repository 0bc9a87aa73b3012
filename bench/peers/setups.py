"""What is measured: the ways from a client to the model server, each proxy one process on loopback."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from bench.peers import many
from bench.peers.subject import KEY, write_subject
from router.metrics import SHARED_DIR
from tests.node import node_packages
from tutelage.environments import ProvisionError, Recipe, Say, Step, ensure_environment
from tutelage.processes import Program, gateway, teacher
from tutelage.provision import Home

LOCKS = Path(__file__).parents[1] / "locks"
US = "tutelage"
PREFIX, PASSED = f"{US}, by a prefix", f"{US}, passed on"
BY_STUDENT, BY_TEACHER = "x-tutelage-route: student", "x-tutelage-route: teacher"


@dataclass(frozen=True)
class Target:
    """Where clients ask, for what model, with what `headers` beside the usual ones, and what the head of a good reply
    holds."""

    name: str
    port: int
    model: str = "desk"
    expected: str = ""
    only: Literal["plain", "streams"] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def takes(self, *, stream: bool) -> bool:
        """Whether it is asked such requests."""
        return self.only in (None, "streams" if stream else "plain")


@dataclass(frozen=True)
class Setup:
    """One proxy: its process, the processes that only have to be there, and what can be asked of it."""

    program: Program
    targets: tuple[Target, ...]
    beside: tuple[Program, ...] = ()


@dataclass(frozen=True)
class Absent:
    """A peer that is not measured, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Site:
    """Where a set-up lives: the model server's port, a folder of its own, a free port or two."""

    upstream: int
    folder: Path
    ports: tuple[int, int]
    home: Home
    say: Say = field(repr=False)


def nginx(site: Site) -> Setup:
    """Debian's nginx as the plainest relay: one process, kept connections on both sides."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if binary is None:
        raise ProvisionError("nginx is not installed: apt-get install -y --no-install-recommends nginx-light")
    port = site.ports[0]
    config = site.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=site.folder, port=port, upstream=site.upstream))
    command = [binary, "-c", str(config), "-e", str(site.folder / "errors.log")]
    return Setup(Program("nginx", command, f"http://127.0.0.1:{port}/health"), (Target("nginx", port),))


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_buffer_size 128k; proxy_buffers 4 128k; proxy_busy_buffers_size 256k;
    }}
  }}
}}
"""


def bare(site: Site) -> Setup:
    """uvicorn and our HTTP client as a relay: what of our own figures is the language's and the server's."""
    port = site.ports[0]
    command = [sys.executable, "-m", "bench.peers.bare", str(port), str(site.upstream)]
    return Setup(Program("uvicorn relay", command, f"http://127.0.0.1:{port}/health"), (Target("uvicorn relay", port),))


def litellm(site: Site) -> Setup:
    """LiteLLM's proxy with a master key and without a database."""
    environment = _environment("litellm", site, duration="a minute or two, 900 MB")
    port = site.ports[0]
    model = {"model": "openai/desk", "api_base": f"http://127.0.0.1:{site.upstream}/v1", "api_key": "none"}
    config = site.folder / "litellm.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "model_list": [{"model_name": "desk", "litellm_params": model}],
                "general_settings": {"master_key": KEY},
            }
        )
    )
    command = [str(environment / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "PYTHONWARNINGS": "ignore"}
    ready = f"http://127.0.0.1:{port}/health/liveliness"
    program = Program("litellm", [*command, "--num_workers", "1", "--telemetry", "False"], ready, quiet)
    return Setup(program, (Target("litellm", port),))


def vllm_router(site: Site) -> Setup:
    """The vLLM project's router in Rust, as PyPI has it."""
    environment = _environment("vllm-router", site, duration="half a minute, 150 MB")
    port, metrics = site.ports
    address = ["--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(metrics)]
    upstream = ["--worker-urls", f"http://127.0.0.1:{site.upstream}", "--policy", "round_robin"]
    command = [str(environment / "bin/vllm-router"), *address, *upstream]
    program = Program("vllm-router", command, f"http://127.0.0.1:{port}/health", {"RUST_LOG": "error"})
    return Setup(program, (Target("vllm-router", port),))


def portkey(site: Site) -> Setup:
    """Portkey's gateway for Node, told in each request's headers whom to ask. Streams are not asked for: of them this
    version makes an error ("immutable": it sets headers on what `fetch` returns), whatever the provider."""
    try:
        root = node_packages(LOCKS / "portkey", site.home.root / "bench" / "portkey")
    except OSError as error:
        raise ProvisionError(f"cannot be installed: {error}") from error
    port = site.ports[0]
    start = root / "node_modules/@portkey-ai/gateway/build/start-server.js"
    program = Program("portkey", ["node", str(start), f"--port={port}", "--headless"], f"http://127.0.0.1:{port}/")
    asks = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{site.upstream}/v1"}
    return Setup(program, (Target("Portkey", port, only="plain", headers=asks),))


def production_stack(_: Site) -> Setup:
    """The router of vLLM's production stack, in Python."""
    raise ProvisionError("it is on no package index: it comes as an image and from its repository alone")


def tutelage(site: Site) -> Setup:
    """Our gateway with everything it does: key, draft with log-probabilities, evidence, decision, metrics, record."""
    port, teacher_port = site.ports
    config, settings = write_subject(site.folder, upstream=site.upstream, gateway=port, teacher_server=teacher_port)
    targets = (
        Target(US, port, "desk", BY_STUDENT),
        Target(PREFIX, port, "letters", BY_STUDENT, only="streams"),
        Target(PASSED, port, "mock", BY_TEACHER, only="streams"),
    )
    return Setup(gateway(settings, config), targets, (teacher(settings, config),))


def counted(site: Site, *, files: bool, tasks: bool) -> Setup:
    """Our gateway with parts to take out (`bench.peers.counted`). `files`: it counts into a folder, as each of several
    processes does. `tasks`: over a ledger of many."""
    ports = {"gateway": site.ports[0], "teacher_server": site.ports[1]}
    config, settings = write_subject(site.folder, upstream=site.upstream, **ports, more=many.NAMES if tasks else ())
    if tasks:
        many.fill(settings)
    shared = site.folder / "metrics"
    shared.mkdir()
    command = [sys.executable, "-m", "bench.peers.counted", str(config)]
    url = f"http://127.0.0.1:{site.ports[0]}"
    program = Program("gateway", command, f"{url}/health", {SHARED_DIR: str(shared)} if files else {})
    return Setup(program, (Target(US, site.ports[0], "desk", BY_STUDENT),))


Maker = Callable[[Site], Setup]
SETUPS: dict[str, Maker] = {
    "nginx": nginx,
    "bare": bare,
    "litellm": litellm,
    "Portkey": portkey,
    "production-stack": production_stack,
    "vllm-router": vllm_router,
    US: tutelage,
}


def _environment(name: str, site: Site, *, duration: str) -> Path:
    """The peer's own environment, from its lock. Raises ProvisionError."""
    recipe = Recipe((Step(LOCKS / f"{name}.txt"),), gigabytes=1.5, duration=duration)
    root = site.home.root / "bench" / name
    try:
        ensure_environment(root, recipe, say=site.say)
    except OSError as error:
        raise ProvisionError(f"cannot write {root}: {error}") from error
    return root
