"""The files in deploy/ hold together: they cannot be built by a test, so linters, schemas and the code itself are asked."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.pipeline import Config
from flows.running.server.embedded import RETENTION
from tasks.pipeline import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = [
    (path.name, document)
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] != "Kustomization"
]
PODS = {
    document["metadata"]["name"]: document["spec"]["template"] for _, document in MANIFESTS if document["kind"] == "Deployment"
}
CONTAINERS = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
OURS = {f"panolabel:{VERSION}", f"panolabel:{VERSION}-cuda"}


def manifest(kind: str, name: str) -> dict[str, Any]:
    return next(one for _, one in MANIFESTS if (one["kind"], one["metadata"]["name"]) == (kind, name))


def test_hadolint_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, "--failure-threshold", "style", str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_compose_keeps_to_its_specification() -> None:
    linter = shutil.which("check-jsonschema")
    if linter is None:
        pytest.skip("check-jsonschema is not installed")
    command = [linter, "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_manifests_keep_to_the_schemas_of_kubernetes(version: str) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    for _, document in MANIFESTS:
        validator.validate(document, version, strict=True)
    broken = {**manifest("Service", "dask-scheduler"), "spec": {"prots": []}}
    with pytest.raises(validator.ValidationError):
        validator.validate(broken, version, strict=True)


def images() -> dict[str, str]:
    """Every image that the files name, with where."""
    compose = {f"compose {name}": service["image"] for name, service in COMPOSE["services"].items()}
    return compose | {f"kubernetes {name}": container["image"] for name, container in CONTAINERS.items()}


def test_every_image_is_pinned_and_ours_are_those_that_the_dockerfile_makes() -> None:
    for place, image in images().items():
        _, _, tag = image.rpartition(":")
        assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag), f"{place}: {image}"
    assert {image for image in images().values() if image.startswith("panolabel:")} == OURS
    assert set(re.findall(r"-t (panolabel:\S+)", DOCKERFILE)) == OURS
    base = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert re.match(r"3\.11\.\d+-", base[1])
    froms = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    made = {stage for _, stage in froms}
    assert {"cpu", "cuda"} < made
    assert all(source in made or source == "python:${PYTHON}" for source, _ in froms)


def test_the_image_installs_what_was_tested_together() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert set(re.findall(r"torch==(\S+)", DOCKERFILE)) == {pins["torch"]}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = re.findall(r"pip install .*--constraint constraints\.txt \"\.\[(.*?)\]\"", DOCKERFILE)
    assert installs == ["onnx,s3"] * 2
    assert {"onnx", "s3"} <= set(extras)


def test_the_build_sees_only_what_it_needs() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert allowed == {package.rstrip("*") for package in packages} | {
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
    }
    assert all((ROOT / name).exists() for name in allowed)


def test_nothing_of_ours_runs_as_root() -> None:
    runtime = DOCKERFILE[DOCKERFILE.index("AS runtime") :]
    assert re.findall(r"^USER (\S+)$", runtime, re.MULTILINE) == ["10001:10001"]
    for name, service in COMPOSE["services"].items():
        assert "user" not in service, "the image says who"
        assert not service.get("privileged"), name
        assert service["security_opt"] == ["no-new-privileges:true"]
        if service["image"] in OURS:
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    for name, pod in PODS.items():
        user = pod["spec"]["securityContext"]
        assert (user["runAsNonRoot"], user["runAsUser"], user["seccompProfile"]) == (True, 10001, {"type": "RuntimeDefault"}), (
            name
        )
        own = CONTAINERS[name]["securityContext"]
        expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert own == expected, name
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_compose_publishes_on_loopback_only_and_checks_health() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    for name, service in COMPOSE["services"].items():
        assert service["healthcheck"]["test"], name
        assert "network_mode" not in service


def test_the_server_forgets_as_our_own_does() -> None:
    environment = COMPOSE["services"]["prefect"]["environment"]
    assert {name: environment[name] for name in RETENTION} == RETENTION


def test_no_secret_is_written_down() -> None:
    assert all(not line.partition("=")[2] for line in (DEPLOY / "env.example").read_text().splitlines() if line[:1] != "#")
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    offered = {line.partition("=")[0] for line in (DEPLOY / "env.example").read_text().splitlines() if line[:1] != "#"}
    assert asked == offered
    for service in COMPOSE["services"].values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY|CONNECTION_URL|ROOT_USER", key):
                assert re.search(r"\$\{\w+:\?", value), f"{key} must come from the environment, and be there"
    assert not [one for _, one in MANIFESTS if one["kind"] == "Secret"]
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=ROOT)
    assert ignored.returncode in (0, 128), "git must ignore deploy/.env (128: no git repository here)"


def commands() -> dict[str, list[str]]:
    """What our containers run."""
    compose = {name: service["command"] for name, service in COMPOSE["services"].items() if service["image"] in OURS}
    return compose | {name: container["command"] for name, container in CONTAINERS.items()}


@pytest.mark.parametrize("place", commands())
def test_commands_are_real_and_know_their_options(place: str) -> None:
    words = commands()[place]
    scripts = {script.name for script in entry_points(group="console_scripts")}
    assert words[0] in scripts
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options <= known_options(words), place


def known_options(words: list[str]) -> set[str]:
    """The long options of a Dask or Prefect command."""
    if words[0] == "dask":
        (point,) = entry_points(group="dask_cli", name=words[1])
        return {option for parameter in point.load().params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert words[0] == "prefect"
    import inspect
    from importlib import import_module

    module = import_module(f"prefect.cli.{words[1]}")
    function = getattr(module, words[2])
    text = inspect.getsource(function)
    return {f"--{name.replace('_', '-')}" for name in inspect.signature(function).parameters} | set(re.findall(r"--[\w-]+", text))


def test_gpu_workers_offer_what_a_block_takes() -> None:
    runner = cluster_config().execution.runner
    worker = CONTAINERS["dask-worker"]
    assert "--resources=GPU=1" in worker["command"]
    assert "--nthreads=1" in worker["command"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert runner.gpus_per_block == 1
    assert runner.workers == manifest("Deployment", "dask-worker")["spec"]["replicas"]
    assert worker["image"] == CONTAINERS["dask-scheduler"]["image"] == CONTAINERS["prefect-worker"]["image"], (
        "one set of versions"
    )


def cluster_config() -> Config:
    """The config in the ConfigMap, as panolabel reads it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        path.write_text(manifest("ConfigMap", "panolabel")["data"]["pipeline.yaml"])
        return load(path)


def test_the_scheduler_is_where_the_config_and_the_workers_look() -> None:
    service = manifest("Service", "dask-scheduler")
    assert service["spec"]["type"] == "ClusterIP"
    address = f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert cluster_config().execution.runner.address == address
    assert address in CONTAINERS["dask-worker"]["command"]
    labels = PODS["dask-scheduler"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in CONTAINERS["dask-scheduler"]["ports"]}
    command = CONTAINERS["dask-scheduler"]["command"]
    assert str(ports["comm"]) == command[command.index("--port") + 1]
    assert f":{ports['health']}" == command[command.index("--dashboard-address") + 1]


def test_only_pods_of_the_cluster_reach_dask() -> None:
    nobody = manifest("NetworkPolicy", "nobody")["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress"]}, "all pods, and no rule that lets anybody in"
    rule = manifest("NetworkPolicy", "dask")["spec"]
    (allowed,) = rule["ingress"]
    assert allowed["from"] == [{"podSelector": rule["podSelector"]}]
    for pod in PODS.values():
        assert rule["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    open_ports = {port["port"] for port in allowed["ports"]}
    listening = {port["containerPort"] for name, one in CONTAINERS.items() for port in one["ports"] if port["name"] != "health"}
    assert open_ports == listening
    flags = " ".join(CONTAINERS["dask-worker"]["command"])
    assert {int(port) for port in re.findall(r"--(?:worker|nanny)-port=(\d+)", flags)} < open_ports


def test_pods_are_bounded_probed_and_refer_to_what_there_is() -> None:
    for name, container in CONTAINERS.items():
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert "memory" in container["resources"]["limits"]
        assert {"readinessProbe", "livenessProbe"} <= set(container)
        names = {port["name"] for port in container["ports"]}
        for probe in (container["readinessProbe"], container["livenessProbe"]):
            assert (probe.get("httpGet") or probe.get("tcpSocket"))["port"] in names
        volumes = {volume["name"]: volume for volume in PODS[name]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert manifest("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            if "configMap" in volume:
                assert manifest("ConfigMap", volume["configMap"]["name"])


def test_kustomize_lists_every_manifest_and_all_are_in_one_namespace() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert sorted(listed["resources"]) == sorted({name for name, _ in MANIFESTS})
    assert {one["metadata"].get("namespace", one["metadata"]["name"]) for _, one in MANIFESTS} == {listed["namespace"]}
    enforced = manifest("Namespace", "panolabel")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"
