"""The files in deploy/ say what the commands know, and let a server end in peace. They are read
here, not run: no container and no init system starts in the tests."""

import configparser
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from stepwell.server.config import ServerConfig
from stepwell.server.node import GRACE_S
from tests.docs.test_snippets import ROOT

DEPLOY = ROOT / "deploy"
SECRET = "set it to a secret text"


def instructions() -> list[tuple[str, str]]:
    """The image's instructions, in order; a line that ends with a backslash goes on."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, " ".join(rest.split())) for word, _, rest in (x.partition(" ") for x in lines)]


def flags_of_start() -> str:
    command = [sys.executable, "-m", "stepwell", "start", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def told_to_start(words: list[str]) -> None:
    assert words[0] == "start"
    known = flags_of_start()
    assert [word for word in words if word.startswith("--") and word not in known] == []


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    return found


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(DEPLOY / "stepwell.service")
    return found


def test_the_image_starts_the_server_as_nobody_in_particular() -> None:
    last = instructions()
    last = last[max(n for n, (word, _) in enumerate(last) if word == "FROM") :]
    said = dict(last)
    told_to_start(json.loads(said["CMD"]))
    assert json.loads(said["ENTRYPOINT"]) == ["stepwell"]
    assert said["USER"] == "stepwell"
    assert f"useradd --system --uid 10001 --home-dir {said['VOLUME']}" in last[1][1]
    assert said["WORKDIR"] == said["VOLUME"] == json.loads(said["CMD"])[-1]
    config = ServerConfig()
    assert said["EXPOSE"].split() == [str(config.port), str(config.connect_gateway_port)]


def test_the_image_asks_whether_the_server_is_well() -> None:
    said = dict(instructions())["HEALTHCHECK"]
    command = json.loads(said[said.index("[") :])
    compile(command[2], "health", "exec")
    assert f":{ServerConfig().port}/health" in command[2]


def test_the_image_has_a_python_that_the_package_takes() -> None:
    for word, rest in instructions():
        if word == "FROM" and rest.startswith("python"):
            version = re.match(r"python:(\d+)\.(\d+)-slim", rest)
            assert version is not None
            assert (int(version[1]), int(version[2])) >= (3, 11)


def test_the_services_keep_their_file_and_are_asked_for_keys() -> None:
    told = compose()
    (service,) = told["services"].values()
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    volume, _, place = service["volumes"][0].partition(":")
    assert volume in told["volumes"]
    assert place == dict(instructions())["VOLUME"]
    assert all(":?" in value for value in service["environment"].values())
    assert service["ports"] == [f"127.0.0.1:{ServerConfig().port}:{ServerConfig().port}"]
    assert int(service["stop_grace_period"].removesuffix("s")) > GRACE_S


def cluster() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "cluster/compose.yml").read_text())
    return found


def kubernetes() -> dict[str, dict[str, Any]]:
    text = (DEPLOY / "kubernetes/stepwell.yaml").read_text()
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_the_servers_behind_the_balancer_share_a_database_that_they_wait_for() -> None:
    services = cluster()["services"]
    servers = {name: one for name, one in services.items() if "build" in one}
    assert len(servers) == 2
    for server in servers.values():
        told_to_start(server["command"])
        build = server["build"]
        assert (DEPLOY / "cluster" / build["context"] / build["dockerfile"]).is_file()
        uri = server["environment"]["INNGEST_POSTGRES_URI"]
        made = services["database"]["environment"]
        secret = f"${{POSTGRES_PASSWORD:?{SECRET}}}"
        named = f"postgresql://{made['POSTGRES_USER']}:{secret}@database:5432/{made['POSTGRES_DB']}"
        assert uri == named
        assert server["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert int(server["stop_grace_period"].removesuffix("s")) > GRACE_S
    balancer = (DEPLOY / "cluster/Caddyfile").read_text()
    told = re.findall(r"(\w+):8288\b", balancer)
    assert set(told) == set(servers)
    assert "health_uri /health\n" in balancer
    assert services["balancer"]["volumes"] == ["./Caddyfile:/etc/caddy/Caddyfile:ro"]


def test_the_image_of_a_cluster_has_the_driver() -> None:
    said = [rest for word, rest in instructions() if word == "RUN" and "stepwell[" in rest]
    assert all("[server,postgres]" in rest for rest in said)


def test_kubernetes_ends_a_server_in_peace_and_keeps_one() -> None:
    told = kubernetes()
    pod = told["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert told[kind]["spec"]["selector"]["matchLabels"] == labels
    assert told["Service"]["spec"]["selector"] == labels
    (container,) = pod["spec"]["containers"]
    told_to_start(container["args"])
    config = ServerConfig()
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"http": config.port, "gateway": config.connect_gateway_port}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}
    assert {one["targetPort"] for one in told["Service"]["spec"]["ports"]} == set(ports)
    assert pod["spec"]["terminationGracePeriodSeconds"] > GRACE_S
    least = told["PodDisruptionBudget"]["spec"]["minAvailable"]
    scaled = told["HorizontalPodAutoscaler"]["spec"]
    assert least < scaled["minReplicas"] == told["Deployment"]["spec"]["replicas"]
    assert scaled["scaleTargetRef"]["name"] == told["Deployment"]["metadata"]["name"]
    assert container["securityContext"]["runAsUser"] == 10001


def test_the_unit_starts_the_server_in_the_folder_it_may_write_to() -> None:
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[1] == "--json"
    told_to_start(words[2:])
    assert words[-1] == f"/var/lib/{service['StateDirectory']}"
    assert int(service["TimeoutStopSec"]) > GRACE_S


def test_the_page_names_files_that_are_there() -> None:
    text = (ROOT / "docs/guides/deployment.md").read_text()
    named = set(re.findall(r"deploy/[\w.-]+\w", text))
    assert {str(Path(name)) for name in named if not (ROOT / name).exists()} == set()
    assert {f"deploy/{p.name}" for p in DEPLOY.iterdir()} == named
