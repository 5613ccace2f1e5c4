"""The Dockerfile and the compose file hold what docs/container.md promises; linters check their form in `.ci/run`."""

import re
from typing import Any

import click
import pytest
import yaml
from dockerfile import environment, read_dockerfile, values
from helpers import ROOT

from tagger.cli.main import cli

FOLDER = ROOT / "examples" / "docker"

STAGES = read_dockerfile(FOLDER / "Dockerfile")

BUILD, FINAL = STAGES

COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def options_of(command: str) -> set[str]:
    """Return the options of a command of fmtag."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None, command
    return {name for parameter in found.params for name in parameter.opts}


# Dockerfile --------------------------------------------------------------------------------------------------------


def test_images_are_pinned() -> None:
    """All stages begin with the same image, in a version to the last number, of a Python that is claimed."""
    images = {stage[0].value.split()[0] for stage in STAGES}
    assert len(images) == 1
    version = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-\w+", images.pop())
    assert version, "no exact version of a slim image"
    assert f"Programming Language :: Python :: {version[1]}" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_packages_are_pinned_and_leave_no_cache() -> None:
    """Each installation leaves no cache; torch's comes from the index of wheels for CPUs, in versions that pyproject allows."""
    installs = [one.value for one in values(BUILD, "RUN") if "pip install" in one.value]
    assert all(value.count("pip install") == value.count("--no-cache-dir") for value in installs)
    assert "--index-url https://download.pytorch.org/whl/cpu" in installs[0]
    pinned = dict(re.findall(r"(torch\w*)==([\d.]+)", installs[0]))
    lowest = dict(re.findall(r'"(torch\w*)>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert pinned.keys() == {"torch", "torchvision"}
    for name, version in pinned.items():
        assert [*map(int, version.split("."))] >= [*map(int, lowest[name].split("."))], name


def test_the_program_runs_as_a_user_who_cannot_change_it() -> None:
    """The last user is a number that is not root's; what is copied from the first stage stays root's; no form needs a shell."""
    names = [instruction.name for instruction in FINAL]
    (user,) = values(FINAL, "USER")
    uid, gid = map(int, user.value.split(":"))
    assert uid >= 10_000
    assert f"--uid {uid}" in values(FINAL, "RUN")[0].value
    assert f"--gid {gid}" in values(FINAL, "RUN")[0].value
    assert names.index("COPY") < names.index("USER") < names.index("HEALTHCHECK") < names.index("CMD")
    assert all("--chown" not in copy.value and "--chmod" not in copy.value for copy in values(FINAL, "COPY"))
    for name in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
        (instruction,) = values(FINAL, name)
        assert instruction.words
    assert "ADD" not in names
    assert all(one.value.startswith("/") for stage in STAGES for one in values(stage, "WORKDIR"))
    assert not any("TOKEN" in name for name in environment(FINAL))


def test_the_builder_gets_what_is_copied_and_nothing_else() -> None:
    """`.dockerignore` lets through what the first stage copies, all of which exists."""
    copied = {source for one in values(BUILD, "COPY") for source in one.value.split()[:-1]}
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == {source.removeprefix("./") for source in copied}
    assert all((ROOT / source).exists() for source in copied)


def test_the_health_check_asks_the_port_that_is_served() -> None:
    """The health check, EXPOSE and the ports of compose name the port of the command."""
    command = values(FINAL, "CMD")[0].words
    port = command[command.index("--port") + 1]
    assert f"http://127.0.0.1:{port}/health/ready" in values(FINAL, "HEALTHCHECK")[0].value
    assert values(FINAL, "EXPOSE")[0].value == port
    assert SERVICES["serve"]["ports"] == [f"127.0.0.1:{port}:{port}"]


# compose -----------------------------------------------------------------------------------------------------------


@each_service
def test_each_container_may_do_little(service: dict[str, Any]) -> None:
    """None writes to its own files, gains a privilege, has a capability, or takes more than its share; its log is rotated."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc"} & service.keys()
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"] == values(FINAL, "USER")[0].value
    assert service["tmpfs"][0].startswith("/tmp:size=")
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["pids_limit"] > 0
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert (FOLDER / service["build"]["context"]).resolve() == ROOT
    assert ROOT / service["build"]["dockerfile"] == FOLDER / "Dockerfile"


@each_service
def test_other_machines_reach_no_container(service: dict[str, Any]) -> None:
    """Ports are the loopback's; photos are read only; the nightly run has no network at all."""
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert all(mount["read_only"] for mount in service["volumes"] if mount["target"] == "/photos")
    assert SERVICES["nightly"]["network_mode"] == "none"


def test_the_token_is_a_secret() -> None:
    """The service reads its tokens from a file that is mounted as a secret; none is in a variable or on a command line."""
    (name,) = COMPOSE["secrets"]
    assert SERVICES["serve"]["secrets"] == [name]
    assert SERVICES["serve"]["environment"]["FMTAG_SERVE_TOKEN_FILE"] == f"/run/secrets/{name}"
    assert "FMTAG_SERVE_TOKEN" not in SERVICES["serve"]["environment"]


def test_only_the_service_is_started_by_up() -> None:
    """The nightly run and the review belong to profiles and are not started again when they end."""
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["serve"]
    assert {SERVICES[name]["restart"] for name in ("nightly", "review")} == {"no"}


@each_service
def test_commands_have_these_options(service: dict[str, Any]) -> None:
    """Every option of a command, and every variable that sets one, exists."""
    command = service.get("command") or values(FINAL, "CMD")[0].words
    known = options_of(command[0])
    assert {word.split("=")[0] for word in command[1:] if word.startswith("--")} <= known
    prefix = f"FMTAG_{command[0].upper()}_"
    for name in service.get("environment", {}):
        option = "--" + name.removeprefix(prefix).lower().replace("_", "-")
        assert name.startswith(prefix), name
        assert option in known, name
