"""Compose file and manifests: valid by their schemas, pinned, and of one mind with the code. Nothing is run by this:
there is no container engine here."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from router.settings import ConfigError, load
from tests.deploy.locks import ROOT
from tutelage import student_server
from tutelage.student_server import StudentServer, command, room

DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "config/tutelage.yaml"
KUBERNETES = "1.33"  # the oldest version that is looked after
FLEETING = {"--model", "--host", "--port", "--dtype", "--gpu-memory-utilization"}  # these are of a place


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    return _kustomize(DEPLOY / "kubernetes")


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    """What .env and the Secret hold."""
    monkeypatch.setenv("TUTELAGE_SERVER__API_KEY", "k")
    monkeypatch.setenv("TUTELAGE_LEDGER__URL", "postgresql+psycopg://u:p@postgres/tutelage")


def test_the_compose_file_is_one(compose):
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.validate(compose, schema)


def test_every_rendered_object_is_valid(rendered):
    kinds = [one["kind"] for one in rendered]
    assert {"StatefulSet", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"} <= set(kinds)
    for one in rendered:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_a_wrong_object_is_not(rendered):
    broken = next(one for one in rendered if one["kind"] == "StatefulSet")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**broken, "spec": {**broken["spec"], "replica": 2}}, KUBERNETES, strict=True)


def test_the_overlay_of_the_readme(tmp_path):
    (overlay,) = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(overlay)
    (mine / "tutelage.yaml").write_text("theirs: true\n")
    found = {(one["kind"], one["metadata"]["name"].partition("-")[0]): one for one in _kustomize(mine)}
    gateway = found["StatefulSet", "gateway"]["spec"]
    assert gateway["replicas"] == 3
    assert {each["image"] for each in _containers(gateway["template"]["spec"])} == {
        "ghcr.io/you/tutelage-gateway:0.1.0"
    }
    assert found["ConfigMap", "tutelage"]["data"] == {"tutelage.yaml": "theirs: true\n"}
    assert found["ServiceMonitor", "gateway"]["metadata"]["namespace"] == "tutelage"


def test_images_have_versions(compose, rendered):
    images = {service["image"] for service in compose["services"].values()}
    images |= {container["image"] for pod in _pods(rendered) for container in _containers(pod)}
    for image in images:
        assert re.search(r":v?\d+\.\d+[\w.-]*$", image), f"{image} is not pinned"


def test_the_configuration_is_accepted():
    settings = load(CONFIG)
    assert settings.ledger.url.startswith("postgresql+psycopg://")
    assert settings.server.admin_port == 9090


def test_without_its_secret_the_gateway_does_not_begin(monkeypatch):
    monkeypatch.delenv("TUTELAGE_SERVER__API_KEY", raising=False)
    with pytest.raises(Exception, match="TUTELAGE_SERVER__API_KEY"):
        load(CONFIG)


def test_no_file_holds_a_secret(rendered):
    assert not [one for one in rendered if one["kind"] == "Secret"]
    for line in (DEPLOY / ".env.example").read_text().splitlines():
        name, _, value = line.partition("=")
        assert not (re.search("KEY|PASSWORD", name) and value), f"{name} has a value"


def test_hosts_and_ports_are_those_of_the_configuration(compose, rendered):
    settings = load(CONFIG)
    urls = (settings.student.base_url, settings.student.load_url, settings.distill.gateway_url)
    wanted = dict(url.removeprefix("http://").split(":") for url in urls if url)
    assert len(wanted) == 3
    services = {one["metadata"]["name"]: one["spec"] for one in rendered if one["kind"] == "Service"}
    networks = [each.get("networks", {}) for each in compose["services"].values()]
    inside = [each["inside"] for each in networks if isinstance(each, dict) and "inside" in each]
    aliases = {name for each in inside for name in each.get("aliases", ())}
    for host, port in wanted.items():
        assert [each["port"] for each in services[host]["ports"]] == [int(port)]
        assert host in aliases | set(compose["services"])
    assert services["student-engines"]["clusterIP"] == "None", "or it has one address for all engines"


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr(student_server, "has_gpu", lambda: True)


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_engine_is_started_as_by_us(compose, rendered, place):
    if place == "compose":
        service = compose["services"]["student"]
        words = [*service["entrypoint"], *service["command"]]
    else:
        (vllm,) = [each for pod in _pods(rendered) for each in _containers(pod) if each["name"] == "vllm"]
        words = [*vllm["command"], *vllm["args"]]
    settings = load(CONFIG)
    wanted = room(settings)
    ours = command(
        StudentServer(
            vllm_env=Path("/"),
            model=settings.student.base_model,
            served_name="base",
            port=8000,
            max_model_len=settings.student.max_context_tokens,
            max_loras=wanted.loras,
            max_cpu_loras=wanted.cpu_loras,
            lora_rank=wanted.rank,
        )
    )
    assert words[1:3] == ours[1:3]
    assert _flags(words) == _flags(ours)


def test_env_example_says_what_compose_would_take_without_it(compose):
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]+)\}", " ".join(compose["services"]["student"]["command"])))
    lines = (line.partition("=") for line in (DEPLOY / ".env.example").read_text().splitlines())
    said = {name: value for name, _, value in lines if name in defaults}
    assert said == defaults and {"STUDENT_LORAS", "STUDENT_CPU_LORAS", "STUDENT_LORA_RANK"} <= said.keys()


def test_the_engines_version_is_the_tested_one(compose, rendered):
    locked = re.search(r"^vllm==(\S+)$", (ROOT / "tutelage/locks/vllm-cuda.txt").read_text(), re.M)
    assert locked
    images = {compose["services"]["student"]["image"]} | {
        each["image"] for pod in _pods(rendered) for each in _containers(pod) if each["name"] == "vllm"
    }
    assert images == {f"vllm/vllm-openai:v{locked[1]}"}


def test_what_compose_mounts_from_here_is_here(compose):
    sources = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    }
    assert "./config/tutelage.yaml" in sources
    missing = {source for source in sources if not (DEPLOY / source).exists()}
    assert missing == set()


def test_prometheus_asks_the_admin_port():
    path = DEPLOY / "prometheus/prometheus.yml"
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"gateway-admin:{load(CONFIG).server.admin_port}"]}]


def test_the_engines_endpoint_is_private(compose, rendered):
    assert "ports" not in compose["services"]["student"]
    assert set(compose["services"]["student"]["networks"]) == {"inside"}
    (policy,) = [one for one in rendered if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "student"]
    (rule,) = policy["spec"]["ingress"]
    allowed = {one["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for one in rule["from"]}
    assert allowed == {"gateway", "worker", "console"}


def test_the_console_is_behind_a_key_and_on_loopback_alone(compose, monkeypatch):
    settings, service = load(CONFIG), compose["services"]["console"]
    assert service["ports"] == [f"127.0.0.1:{settings.console.port}:{settings.console.port}"]
    assert settings.console.host == "0.0.0.0", "or the container's port leads nowhere"
    assert "front" in service["networks"], "a network without a way out publishes no port"
    monkeypatch.delenv("TUTELAGE_SERVER__API_KEY")
    monkeypatch.setenv("TUTELAGE_SERVER__HOST", "127.0.0.1")
    with pytest.raises(ConfigError, match=r"console\.host 0\.0\.0\.0 is reachable from outside: set server\.api_key"):
        load(CONFIG)


def test_nobody_in_the_cluster_reaches_the_console_but_through_its_service(rendered):
    named = {(one["kind"], one["metadata"]["name"]): one.get("spec") for one in rendered}
    service, pod = named["Service", "console"], named["Deployment", "console"]["template"]
    (container,), (port,) = pod["spec"]["containers"], service["ports"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert "type" not in service, "or it has an address outside"
    assert port["targetPort"] == "http" and port["port"] == load(CONFIG).console.port
    assert container["ports"] == [{"name": "http", "containerPort": load(CONFIG).console.port}]
    policies = [spec for (kind, _), spec in named.items() if kind == "NetworkPolicy"]
    mine = [each for each in policies if _selects(each["podSelector"], pod["metadata"]["labels"])]
    assert mine == [{"podSelector": {}, "policyTypes": ["Ingress"]}], "the one that lets nobody in"


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_a_release_can_be_promoted_from_the_console(compose, rendered, place):
    """It is compared with its base model and its adapter before it is loaded."""
    if place == "compose":
        mounts = {volume.split(":")[-2] for volume in compose["services"]["console"]["volumes"]}
    else:
        (console,) = [each for pod in _pods(rendered) for each in _containers(pod) if each["name"] == "console"]
        mounts = {each["mountPath"] for each in console["volumeMounts"]}
    settings = load(CONFIG)
    for needed in (settings.student.base_model, str(settings.student.adapters_dir)):
        assert any(Path(needed).is_relative_to(mount) for mount in mounts), needed


def test_a_gateway_has_time_to_finish_and_ends_before_its_helpers(rendered, compose):
    (pod,) = [one["spec"]["template"]["spec"] for one in rendered if one["kind"] == "StatefulSet"]
    assert pod["terminationGracePeriodSeconds"] >= 5 + 60 + 10
    assert {each["name"]: each["restartPolicy"] for each in pod["initContainers"]} == {
        "ingester": "Always",
        "teacher": "Always",
    }
    assert {"teacher", "ingester"} <= set(compose["services"]["gateway"]["depends_on"])


def test_every_container_of_ours_is_held_small(rendered):
    for pod in _pods(rendered):
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        for each in _containers(pod):
            assert each["securityContext"]["readOnlyRootFilesystem"]
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert each["resources"]["requests"]["memory"] and each["resources"]["limits"]["memory"]


def _kustomize(folder: Path) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on this machine: the manifests were not rendered")
    found = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 0, found.stderr
    return [one for one in yaml.safe_load_all(found.stdout) if one]


def _pods(rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in rendered if one["kind"] in ("StatefulSet", "Deployment")]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def _flags(words: list[str]) -> dict[str, str]:
    """Flag -> value, but for those that depend on the place."""
    said = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", " ".join(words))  # as where .env says nothing
    found = dict(re.findall(r"(--[a-z-]+)[= ]?([^-\s]\S*)?", said))
    return {flag: value for flag, value in found.items() if flag not in FLEETING}
