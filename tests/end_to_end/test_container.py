"""The steps of the Dockerfile, repeated without Docker: an installation from nothing, the service and its health check."""

import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from dockerfile import environment, read_dockerfile, values
from helpers import ROOT, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")]

FOLDER = ROOT / "examples" / "docker"

BUILD, FINAL = read_dockerfile(FOLDER / "Dockerfile")

UID = int(values(FINAL, "USER")[0].value.split(":")[0])

READ_ONLY = """
for folder in $TEMPORARY; do mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$folder"; done
for folder in $WRITABLE; do mount --bind "$folder" "$folder"; done
mount -o remount,ro,bind /
exec setpriv --reuid $OWNER --regid $OWNER --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
"""What compose says, for a command: a file system of its own that is read only, another user, and no capability."""


class Image(NamedTuple):
    """What the steps made."""

    prefix: Path
    """In the place of the image's `/opt/fmtag`."""
    data: Path
    """In the place of `/data`."""
    temporary: Path
    """In the place of `/tmp`."""

    def environment(self) -> dict[str, str]:
        """Return the variables of the last stage."""
        found = {name: self.placed(value) for name, value in environment(FINAL).items()}
        found["PATH"] = found["PATH"].replace("$PATH", os.environ["PATH"])
        return found | {"TMPDIR": str(self.temporary), "HOME": str(self.data)}

    def placed(self, text: str) -> str:
        """Return a text with the paths of the image replaced by those of here."""
        places = {"/opt/fmtag": self.prefix, "/data": self.data, "/tmp": self.temporary}
        return re.sub(rf"(?<![\w/])({'|'.join(places)})(?![\w-])", lambda found: str(places[found[1]]), text)


def isolated(command: Sequence[str], temporary: Sequence[Path] = (), writable: Sequence[Path] = ()) -> list[str]:
    """Return a command that runs another as compose lets it run; the command itself where this machine does not allow that.

    Root is needed to become another user, and the right to mount. `temporary` folders are in memory, as compose's `/tmp`.
    """
    allowed = os.getuid() == 0 and shutil.which("setpriv") and not subprocess.call(["unshare", "--mount", "true"])
    if not allowed:
        return [*command]
    folders = {"TEMPORARY": temporary, "WRITABLE": writable}
    assigned = [f"{name}={shlex.quote(' '.join(map(str, some)))}" for name, some in folders.items()]
    return ["unshare", "--mount", "sh", "-ec", "\n".join([f"OWNER={UID}", *assigned, READ_ONLY]), "sh", *command]


def interpreter() -> str:
    """Return a Python that the image's user may run: that of the tests may lie in root's home."""
    for python in (sys._base_executable, "/usr/bin/python3", "/usr/local/bin/python3"):  # type: ignore[attr-defined]
        probe = ["/usr/bin/env", python, "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 10))"]
        if Path(python).exists() and not subprocess.call(isolated(probe), stderr=subprocess.DEVNULL):
            return str(python)
    pytest.skip("no Python that another user may run")


def write_empty_wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel without files."""
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Repeat the steps of the first stage, and make the folders of the last.

    In the place of PyTorch, which would be downloaded for minutes from an index that may be out of reach, empty wheels of the
    same versions are installed: what a container runs does not import it, and fails here if it does. The user is not made.
    """
    folder = Path(tempfile.mkdtemp(prefix="fmtag-image-"))  # not pytest's, which other users may not enter
    folder.chmod(0o755)
    made = Image(folder / "opt", folder / "data", folder / "tmp")
    try:
        source, stubs = folder / "src", folder / "stubs"
        for one in (source, stubs, made.data, made.temporary):
            one.mkdir()
        for step in BUILD:
            if step.name == "COPY":
                *sources, target = step.value.split()
                for one in sources:
                    copy = shutil.copytree if (ROOT / one).is_dir() else shutil.copy
                    copy(ROOT / one, source / target / (Path(one).name if target == "./" else ""))
            if step.name == "RUN":
                command = re.sub(r"--index-url \S+", f"--no-index --find-links {stubs}", made.placed(step.value))
                for name, version in re.findall(r"(\w+)==([\d.]+)", command):
                    write_empty_wheel(stubs, name, version)
                command = re.sub(r"^python\b", shlex.quote(interpreter()), command)
                subprocess.run(command, shell=True, cwd=source, check=True, capture_output=True)
        shutil.rmtree(source)
        if os.getuid() == 0:
            for one in (made.data, made.temporary):
                os.chown(one, UID, UID)
        yield made
    finally:
        shutil.rmtree(folder)


def run_image(image: Image, words: Sequence[str], *writable: Path, **more: str) -> "subprocess.Popen[str]":
    """Start a command in what was installed, as the image's user, with nothing but some folders to write to."""
    command = isolated(["/usr/bin/env", *words], [image.temporary], writable)
    return subprocess.Popen(
        command, cwd=image.data, env=image.environment() | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: "subprocess.Popen[str]", within: float = 120) -> tuple[int, str]:
    """Return how a command ended, and what it printed."""
    out, err = process.communicate(timeout=within)
    return process.returncode, out + err


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def test_the_nightly_job_tags_the_catalog(image: Image) -> None:
    """The command of compose writes the rows and the report as the image's user, where only /data and /tmp can be written."""
    services: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    photos = image.data.parent / "photos"
    shutil.copytree(ROOT / "examples" / "catalog", photos)
    words = [re.sub(r"=/data(?=/)", f"={image.data}", word) for word in services["nightly"]["command"]]
    words = [str(photos) if word == "/photos" else word for word in words if not word.startswith("--settle")]
    code, printed = ended(run_image(image, ["fmtag", *words], image.data))
    assert code == 3, printed  # two of the examples are broken on purpose
    assert len(rows_of(image.data / "tags.csv")) == 32
    assert {path.name for path in image.data.iterdir()} >= {"tags.csv", "tags.ledger", "changes.csv", "run.json"}


def test_the_service_starts_answers_is_healthy_and_stops(image: Image) -> None:
    """The image's command serves tags with a token, is healthy meanwhile by its health check, and ends with 0 at SIGTERM."""
    port, token = free_port(), secrets.token_urlsafe()
    words = [*values(FINAL, "ENTRYPOINT")[0].words, *values(FINAL, "CMD")[0].words]
    default = words[words.index("--port") + 1]
    check = [word.replace(f":{default}/", f":{port}/") for word in values(FINAL, "HEALTHCHECK")[0].words]
    assert ended(run_image(image, check))[0] != 0
    server = run_image(image, [port if word == default else word for word in words], FMTAG_SERVE_TOKEN=token)
    try:
        deadline = time.monotonic() + 60
        while ended(run_image(image, check))[0] != 0:
            assert time.monotonic() < deadline
            assert server.poll() is None, ended(server)
        photo = ROOT / "examples" / "catalog" / "pantalones" / "photo 0100.jpg"
        files = {"files": (photo.name, photo.read_bytes(), "image/jpeg")}
        address = f"http://127.0.0.1:{port}/v1/tags"
        assert httpx.post(address, files=files, timeout=60).status_code == 401
        answer = httpx.post(address, files=files, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert answer.json()["rows"][0]["tag"] == "Trouser"
    finally:
        server.send_signal(signal.SIGTERM)
        code, printed = ended(server, 40)
    assert code == 0, printed
    assert token not in printed
    assert ended(run_image(image, check))[0] != 0
