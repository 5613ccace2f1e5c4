"""Read a Dockerfile as its instructions, for tests that repeat its steps without Docker."""

import json
import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """An instruction of a Dockerfile, with its lines joined and its comments left out."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """The words of its exec form; of HEALTHCHECK those after its options. Raises `ValueError` for another form."""
        found = json.loads(re.sub(r"^(--\S+\s+)*(CMD\s+)?(?=\[)", "", self.value))
        if not isinstance(found, list):
            raise ValueError(f"{self.name} has not the exec form: {self.value}")
        return found


def read_dockerfile(path: Path) -> list[list[Instruction]]:
    """Return the instructions of each stage, the first of which is its FROM."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, value = line.split(maxsplit=1)
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, value))
    return stages


def values(stage: list[Instruction], name: str) -> list[Instruction]:
    """Return the instructions of one name."""
    return [instruction for instruction in stage if instruction.name == name]


def environment(stage: list[Instruction]) -> dict[str, str]:
    """Return the variables that ENV sets."""
    return dict(pair.split("=", 1) for one in values(stage, "ENV") for pair in one.value.split())
