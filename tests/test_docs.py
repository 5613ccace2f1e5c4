"""The documentation names every command and option, its examples parse, and its links and paths resolve."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from helpers import ROOT

from tagger.cli.main import cli
from tagger.cli.options import Option

README, CHANGELOG, ARCHITECTURE = ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "ARCHITECTURE.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
ALL = [README, CHANGELOG, ARCHITECTURE, *PAGES]

OLDER_VARIABLES = {
    "FMTAG_RUN_FORMAT_",
    "FMTAG_EXPLAIN_AS_JSON",
    "FMTAG_RETRAIN_TEACHERS",
    "FMTAG_TUNE_TEACHERS",
    "FMTAG_ADAPT_START",
    "FMTAG_PICK_START",
}
"""Names of environment variables from before every option had its own; they are in people's scripts."""

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"--[a-z][a-z0-9-]*")


def commands(group: click.Group = cli, prefix: str = "") -> dict[str, click.Command]:
    """Return all commands by their words, those of groups such as `models show` too."""
    context = click.Context(group, **cli.context_settings)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[prefix + name] = command
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
    return found


COMMANDS = commands()


def long_options(command: click.Command) -> set[str]:
    """Return the options of a command that are spelled out, `--no-` forms too."""
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }


def text_of(page: Path) -> str:
    """Return a page's text."""
    return page.read_text(encoding="utf-8")


def option_tables() -> dict[str, set[str]]:
    """Return the options in the first column of the table below each heading "`fmtag COMMAND` options"."""
    tables: dict[str, set[str]] = {}
    for page in PAGES:
        parts = re.split(r"^#+ +(.+)$", text_of(page), flags=re.MULTILINE)
        for heading, section in zip(parts[1::2], parts[2::2], strict=True):
            named = re.fullmatch(r"`fmtag ([a-z ]+)` options", heading)
            if named:
                assert named[1] not in tables, f"two tables for fmtag {named[1]}"
                cells = re.findall(r"^\|(.+?)\|", section, re.MULTILINE)
                tables[named[1]] = {option for cell in cells for option in OPTION.findall(cell)}
    return tables


def fmtag_lines(page: Path) -> Iterator[str]:
    """Yield the commands in a page's code, from `fmtag` up to what ends a command in a shell."""
    text = re.sub(r"\\\n\s*", "", text_of(page))
    blocks = [block for block in FENCE.findall(text) if not block.startswith("```python")]
    code = [line for line in text.splitlines() if line.startswith("    ")]
    code += [line for block in blocks for line in block.splitlines()]
    code += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for line in code:
        for found in re.finditer(r"(?<![\w./'\"=-])fmtag (?=[a-z-])[^;|&>]*", line.split("  #")[0]):
            yield found[0].strip()


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Python-Markdown and GitHub make them of plain words."""
    headings = HEADING.findall(FENCE.sub("", text_of(page)))
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", name)).strip().lower()) for name in headings}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_table_of_just_its_options(name: str) -> None:
    """The guides list each long option of each command, and none that does not exist."""
    assert option_tables().get(name, set()) == long_options(COMMANDS[name])


def test_no_table_is_about_an_unknown_command() -> None:
    """A table of options belongs to a command that exists."""
    assert set(option_tables()) <= set(COMMANDS)


def test_the_readme_lists_every_command() -> None:
    """The table of commands names each top-level command once, and nothing else."""
    listed = re.findall(r"^\| \[`fmtag ([a-z]+)`\]", text_of(README), re.MULTILINE)
    assert sorted(name for name in COMMANDS if " " not in name) == sorted(listed)


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_the_examples_parse(page: Path) -> None:
    """Each `fmtag ...` in the documentation is a command that exists, with options that it has."""
    for line in fmtag_lines(page):
        words = shlex.split(line)[1:]
        if words[0].startswith("-") or words[0] == "COMMAND":
            continue
        depth = 2 if " ".join(words[:2]) in COMMANDS else 1
        command = COMMANDS[" ".join(words[:depth])]
        values, _, given = command.make_parser(click.Context(command, **cli.context_settings)).parse_args(words[depth:])
        for parameter in given:
            if isinstance(parameter.type, click.Choice) and "$" not in str(value := values[str(parameter.name)]):
                assert {value} <= set(parameter.type.choices), line


def test_the_readme_is_short_and_holds_the_two_commands() -> None:
    """The README stays below 8 KB, with the newcomer's and the developer's command word by word."""
    text = text_of(README)
    assert len(text.encode()) < 8_000
    assert "    pip install . && fmtag run examples/catalog --out tags.csv\n" in text
    assert "    pip install '.[test]' && pytest\n" in text


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.stem)
def test_links_and_anchors_resolve(page: Path) -> None:
    """A relative link leads to a file that exists, and its anchor to a heading there."""
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), target
        assert not anchor or anchor in slugs(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_link_to_pages_alone(page: Path) -> None:
    """The site has no other files: what lies elsewhere in the repository is named, not linked."""
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if not re.match(r"[a-z]+:", target) and (place := target.partition("#")[0]):
            assert (page.parent / place).resolve().is_relative_to(ROOT / "docs"), target


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_paths_of_the_repository_exist(page: Path) -> None:
    """A file in `examples/` or `benchmarks/` that the documentation names is there."""
    for name in re.findall(r"(?<![\w./-])(?:examples|benchmarks)/[\w./-]+\.\w+", text_of(page)):
        assert (ROOT / name).exists(), name


def test_the_reference_lists_every_command_and_option() -> None:
    """The page that is generated with the site has a section for each command, with all its options."""
    hook = runpy.run_path(str(ROOT / "docs" / "reference" / "commands.py"))
    page = hook["on_page_markdown"](text_of(ROOT / "docs" / "reference" / "cli.md"))
    sections = dict(re.findall(r"^## `fmtag ([a-z ]+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sections.keys() == COMMANDS.keys()
    for name, command in COMMANDS.items():
        assert long_options(command) <= set(OPTION.findall(sections[name])), name


def test_environment_variables_are_documented() -> None:
    """Each option is set by the variable of its own name; the configuration page names the older ones, which still work."""
    known = set()
    for command, value in COMMANDS.items():
        for option in value.params:
            if isinstance(option, Option):
                prefix = f"FMTAG_{command.upper().replace(' ', '_')}"
                first, *others = option.variables(prefix)
                own = next(name for name in option.opts if name.startswith("--"))
                assert first == f"{prefix}_{own.removeprefix('--').upper().replace('-', '_')}"
                known |= {first, *others}
    named = set(re.findall(r"FMTAG_[A-Z_]+[A-Z_]", text_of(ROOT / "docs" / "configuration.md")))
    assert named - {"FMTAG_COMMAND_OPTION", "FMTAG_MODELS", "FMTAG_RUN_TOP_K"} == OLDER_VARIABLES
    assert known >= OLDER_VARIABLES


def test_the_architecture_names_every_module() -> None:
    """The table of packages has a row for each package, with just the modules that are in it."""
    rows = re.findall(r"^\| `(tagger[.a-z]*)` \| ([^|]+) \|", text_of(ARCHITECTURE), re.MULTILINE)
    named = {package: sorted(re.findall(r"`(\w+)`", modules)) for package, modules in rows}
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "tagger").rglob("*.py")):
        package = ".".join(file.parent.relative_to(ROOT).parts)
        if not file.stem.startswith("__"):
            found.setdefault(package, []).append(file.stem)
    assert named == {package: sorted(modules) for package, modules in found.items()}
