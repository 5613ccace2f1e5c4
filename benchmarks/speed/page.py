"""Put the tables of the results of speed into docs/performance.md, between the comments that name them.

    python -m benchmarks.speed.page

`<!-- speed_run -->` to `<!-- / -->` gets the command and the tables of `benchmarks/results/speed_run.md`, `speed_targets` what
`targets` prints, `speed_billion` what `billion` prints, and `speed_machine` the machine and the versions of the runs.
"""

import json
import re
from pathlib import Path

from benchmarks.reporting import RESULTS
from benchmarks.speed.billion import billion_table
from benchmarks.speed.measuring import ROOT
from benchmarks.speed.targets import results_of, targets_table

PAGE = ROOT / "docs" / "performance.md"

BLOCK = re.compile(r"(<!-- (\w+) -->\n)(?:(?!<!--).)*(<!-- / -->)", re.DOTALL)


def filled_page(text: str, results: Path = RESULTS) -> str:
    """Return the text of the page with the results of a folder in its blocks."""
    return BLOCK.sub(lambda found: f"{found[1]}{_content(found[2], results)}\n{found[3]}", text)


def _content(name: str, results: Path) -> str:
    """Return what belongs into a block."""
    if name == "speed_targets":
        return "\n".join(["", *targets_table(results_of(results))])
    if name == "speed_billion":
        return "\n".join(["", *billion_table(results)])
    if name == "speed_machine":
        found = json.loads((results / "speed_run.json").read_text(encoding="utf-8"))
        versions = ", ".join(f"{library} {number}" for library, number in found["versions"].items())
        return f"\n{found['hardware']}, no GPU; Python {found['python']}, {versions}.\n"
    _, command, _, *body = (results / f"{name}.md").read_text(encoding="utf-8").strip().split("\n\n")
    return "\n".join(["", f"    {command.strip('`')}", "", "\n\n".join(body), ""])


def main() -> None:
    """Fill the page."""
    PAGE.write_text(filled_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
