"""The entry point: help, errors as one sentence, exit codes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from helpers import Fmtag, Result, RunCli, assert_one_sentence, write_photos

from tagger.cli.main import COMMANDS, main
from tagger.cli.main import cli as group


def test_failure_in_a_process_of_its_own(fmtag: Fmtag, tmp_path: Path) -> None:
    """The real process, too, ends with one sentence and exit code 1."""
    done = fmtag("run", tmp_path / "none", "--out", tmp_path / "tags.csv")
    assert_one_sentence(Result(done.returncode, done.stdout, done.stderr), 1, f"There is no {tmp_path / 'none'}")
    assert os.listdir(tmp_path) == []


def test_the_closing_error_is_json_too(cli: RunCli, tmp_path: Path) -> None:
    """With --log-format json the sentence that ends a run which could not be done is an object as well."""
    result = cli("run", tmp_path / "nowhere", "--out", tmp_path / "tags.csv", "--log-format", "json")
    assert (result.code, result.out) == (1, "")
    (event,) = [json.loads(line) for line in result.err.splitlines()]
    assert event["event"] == "error"
    assert "nowhere" in event["message"]


def test_missing_arguments_are_exit_2(cli: RunCli) -> None:
    """A command without a required argument or option, and an unknown command, are exit code 2 and named."""
    assert_one_sentence(cli("run", "somewhere"), 2, "--out")
    assert_one_sentence(cli("run", "--out", "t.csv"), 2, "SOURCE")
    assert_one_sentence(cli("no-such-command"), 2, "no-such-command")


def test_debug_shows_the_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With --debug on the command line the traceback stands before the sentence."""
    arguments = ["fmtag", "run", str(tmp_path / "none"), "--out", str(tmp_path / "t.csv")]
    for option in ([], ["--debug"]):
        monkeypatch.setattr(sys, "argv", [*arguments, *option])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capfd.readouterr().err
        assert caught.value.code == 1
        assert printed.startswith("Traceback") == bool(option)
        assert ("SourceError" in printed) == bool(option)
        assert printed.splitlines()[-1].startswith("Error: There is no")


def test_debug_works_in_any_way(cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--debug works in arguments given to `main` and, as every option, as the variable FMTAG_RUN_DEBUG=1."""
    arguments = ["run", str(tmp_path / "none"), "--out", str(tmp_path / "t.csv")]
    shown = [cli(*arguments, "--debug").err]
    monkeypatch.setenv("FMTAG_RUN_DEBUG", "1")
    shown.append(cli(*arguments).err)
    assert [text.startswith("Traceback") for text in shown] == [True, True]


IMPORTED = """
import sys
from tagger.cli.main import main
names = set(sys.argv.pop(1).split())
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write(" ".join(sorted(names & set(sys.modules))))
"""
"""Runs a command line, and prints which of the modules named first it has imported."""

ONLY_FOR_SOME = (
    "torch torchvision pandas sklearn scipy matplotlib optuna onnx pyarrow openpyxl chardet pathspec tifffile imagecodecs rich "
    "tqdm importlib.metadata tagger.catalog.tables tagger.catalog.label_map tagger.training.recipe"
)
"""Modules that some commands, sources, outputs, kinds of files or a terminal need."""


def imported(names: str, *arguments: str | Path) -> tuple[str, str]:
    """Run a command line in a process of its own; return what it printed, and which of the modules `names` it imported."""
    command = [sys.executable, "-c", IMPORTED, names, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_help_is_light() -> None:
    """`fmtag --help` lists the commands without importing any of them, or a large library."""
    listed, heavy = imported(f"{ONLY_FOR_SOME} cv2 numpy PIL onnxruntime tagger.cli.run", "--help")
    assert heavy == ""
    for command in ("run", "retrain", "tune", "evaluate", "models"):
        assert f"  {command} " in listed


def test_a_run_is_light(small_bundle: Path, tmp_path: Path) -> None:
    """A run that tags a photo of a folder into a CSV, without a terminal, imports only what that needs."""
    photo = write_photos(tmp_path / "shop", 1, (60, 80))
    out = tmp_path / "tags.csv"
    run = ("run", photo, "--out", out, "--model", small_bundle, "--device", "cpu", "--log-format", "json")
    assert imported(f"{ONLY_FOR_SOME} onnxruntime", *run)[1].splitlines()[-1] == "onnxruntime"  # the network was there
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2


def commands(command: click.Command = group, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its words, the group itself with none."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            yield from commands(subcommand, (*words, name))


EVERY = dict(commands())

METAPHORS = re.compile(
    r"\b(said|asked|chance|figures|strangers?|believable|taught|teach\w*|learnt|looked at|surest|what is|there is (not|no)|"
    r"has no say|a (photo|step|class|trial|picture)\b(?=[.,]))",
    re.IGNORECASE,
)
"""Words of earlier help texts that a newcomer cannot know the meaning of."""


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_has_help(cli: RunCli, words: tuple[str, ...]) -> None:
    """--help and -h answer with exit code 0 on standard output, in plain English."""
    result = cli(*words, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(" ".join(("Usage: fmtag", *words)))
    assert cli(*words, "-h").out == result.out
    assert METAPHORS.search(" ".join(result.out.split())) is None


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_has_a_help_text(words: tuple[str, ...]) -> None:
    """The help of an option ends in a full stop, before the default in brackets."""
    for parameter in EVERY[words].params:
        if isinstance(parameter, click.Option):
            text = re.sub(r"  \[default: [^]]+\]$", "", parameter.help or "")
            assert re.fullmatch(r"[A-Z].*\.", text), (parameter.name, text)


@pytest.mark.parametrize("words", [(), ("models",)], ids=" ".join)
def test_lists_of_commands_cut_no_sentence(cli: RunCli, words: tuple[str, ...]) -> None:
    """Each command stands in the list with the whole sentence of its short help, on one line of a terminal of 80 columns."""
    listed = cli(*words, "--help").out.split("Commands:")[1]
    assert "..." not in listed
    subcommands = {name[-1]: command for name, command in EVERY.items() if len(name) == len(words) + 1 and name[:-1] == words}
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in listed.strip().splitlines()}
    assert lines == {name: command.short_help for name, command in subcommands.items()}
    assert all(re.fullmatch(r"[A-Z].*\.", text) for text in lines.values())


def test_the_list_has_one_module_per_command() -> None:
    """Every command is defined in the module of its name."""
    for name in COMMANDS:
        command = EVERY[(name,)]
        assert command.callback is not None
        assert command.callback.__module__ == f"tagger.cli.{name}"


def test_version(cli: RunCli) -> None:
    """--version names the installed version."""
    assert cli("--version") == Result(0, f"fmtag {version('fmtag')}\n", "")
