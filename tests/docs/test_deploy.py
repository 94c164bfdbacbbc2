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
