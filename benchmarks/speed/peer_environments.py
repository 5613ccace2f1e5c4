"""Make the virtual environments of the programs that `peers` and `service` compare fmtag with, each once."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

TORCH = ("torch", "torchvision")

TAGGER = (
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "platformdirs",
    "safetensors",
    "simplejpeg",
    "threadpoolctl",
)
"""What `tagger.Tagger` imports for JPEGs on a CPU."""

PACKAGES = {
    "torchvision": ("safetensors", "platformdirs"),
    "timm": ("timm",),
    "huggingface": ("transformers", "timm"),
    "litserve": ("litserve", "python-multipart"),
}
"""What each environment has besides those that are pinned, in their newest versions."""

PINNED = {"torchvision": TORCH, "timm": TORCH, "huggingface": TORCH, "litserve": TAGGER}
"""In the versions of fmtag's own environment, so that only what is done with them differs."""

SHOWN = ("torch", "torchvision", "timm", "transformers", "litserve", "fastapi", "uvicorn", "onnxruntime", "pillow", "numpy")
"""Libraries whose versions a report names."""


def make_environment(folder: Path, name: str) -> Path:
    """Return the interpreter of an environment, which is made with packages from the configured index unless it is there."""
    python = folder.resolve() / name / "bin" / "python"
    if not _has_all(python, name):
        pinned = [f"{package}=={version(package).partition('+')[0]}" for package in PINNED[name]]
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        if uv is not None:  # its environments share files, of which PyTorch has gigabytes
            _call([uv, "venv", "--clear", "--python", sys.executable, python.parents[1]])
            _call([uv, "pip", "install", "--python", python, *pinned, *PACKAGES[name]])
        else:
            _call([sys.executable, "-m", "venv", "--clear", python.parents[1]])
            _call([python, "-m", "pip", "install", *pinned, *PACKAGES[name]])
    return python


def versions_shown(python: Path) -> str:
    """Return the versions of the libraries of `SHOWN` that an environment has, as a list in words."""
    found = installed(python)
    return ", ".join(f"{name} {found[name]}" for name in SHOWN if name in found)


def installed(python: Path) -> dict[str, str]:
    """Return the versions of all libraries of an environment."""
    code = (
        "import json\nfrom importlib.metadata import distributions\n"
        "print(json.dumps({one.metadata['name'].lower(): one.version for one in distributions()}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _has_all(python: Path, name: str) -> bool:
    return python.exists() and {*PINNED[name], *PACKAGES[name]} <= installed(python).keys()


def _call(command: list[str | Path]) -> None:
    print(" ".join(map(str, command)), file=sys.stderr)
    subprocess.run(command, check=True, stdout=sys.stderr)
