"""Options that commands share: environment variables by the option's own name, finite numbers, default bundles."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers import RunCli, assert_one_sentence, csv_rows, run_cli

from tagger.adaptation.settings import AdaptSettings
from tagger.cli.options import OUTPUT_FILE, Finite, Option, option
from tagger.models.registry import default_model


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the bundles that `fmtag adapt` and `fmtag pick` start from, without any work."""
    seen: list[str] = []

    def record(settings: AdaptSettings, *rest: object) -> tuple[int, int]:
        seen.append(settings.start)
        raise KeyboardInterrupt

    monkeypatch.setattr("tagger.adaptation.adapt.adapt", record)
    monkeypatch.setattr("tagger.adaptation.active_learning.write_picks", record)
    return seen


@pytest.mark.parametrize("command", [("adapt", "photos", "--out", "./mine"), ("pick", "photos", "--out", "-")])
def test_catalog_commands_start_from_the_default_bundle(
    command: tuple[str, ...], starts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --from the user's default is taken, as by every other command; an option or variable names another one."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path))
    run_cli(*command)
    assert run_cli("models", "default", "tiny").code == 0
    run_cli(*command)
    run_cli(*command, "--from", "base")
    for variable in ("START", "FROM"):  # the option's own name comes before that of the parameter
        monkeypatch.setenv(f"FMTAG_{command[0].upper()}_{variable}", variable.lower())
        run_cli(*command)
    assert starts == ["catalog", "tiny", "base", "start", "from"]
    assert default_model() == "tiny"


@pytest.mark.parametrize("variable", ["FMTAG_RUN_FORMAT", "FMTAG_RUN_FORMAT_"])
def test_the_format_by_a_variable(
    cli: RunCli, photos: Callable[[int], Path], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option's own name sets it, and the older one with an underscore at its end still does."""
    monkeypatch.setenv(variable, "jsonl")
    folder = photos(1)
    assert json.loads(cli("run", folder, "--out", "-").out)["path"] == "0000.jpg"
    assert [row["path"] for row in csv_rows(cli("run", folder, "--out", "-", "--format", "csv").out)] == ["0000.jpg"]


def test_wrong_values_name_the_variable_that_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable that is set, by whichever name."""
    for variable in ("FMTAG_RUN_FORMAT_", "FMTAG_RUN_FORMAT"):
        monkeypatch.setenv(variable, "xlsx")
        assert_one_sentence(run_cli("run", "photos", "--out", "-"), 2, "--format", f"the variable {variable};")


@click.command()
@option("--from", "start", multiple=True)
@option("--json", "as_json", is_flag=True)
@option("--share", type=Finite(0))
def example(start: tuple[str, ...], as_json: bool, share: float | None) -> None:
    """Print the values."""
    click.echo(f"{start} {as_json} {share}")


@pytest.mark.parametrize(
    ("variables", "printed"),
    [
        ({}, "() False None"),
        ({"X_FROM": "a b"}, "('a', 'b') False None"),
        ({"X_START": "c"}, "('c',) False None"),
        ({"X_FROM": "a", "X_START": "c"}, "('a',) False None"),
        ({"X_FROM": "", "X_START": "c"}, "('c',) False None"),
        ({"X_JSON": "1"}, "() True None"),
        ({"X_AS_JSON": "1", "X_SHARE": "0.5"}, "() True 0.5"),
    ],
)
def test_variables_of_both_names(variables: dict[str, str], printed: str) -> None:
    """An option is set by the variable of its own name, otherwise by that of its parameter; an empty one sets nothing."""
    result = CliRunner(env=variables).invoke(example, auto_envvar_prefix="X")
    assert result.output.strip() == printed
    assert all(isinstance(parameter, Option) for parameter in example.params)


@pytest.mark.parametrize(("value", "code"), [("0", 0), ("1e300", 0), ("nan", 2), ("inf", 2), ("1e400", 2), ("-1", 2), ("x", 2)])
def test_numbers_are_finite_and_in_range(value: str, code: int) -> None:
    """Neither nan nor an infinity lies in a range, although click's comparison lets both pass."""
    assert CliRunner().invoke(example, ["--share", value]).exit_code == code


@pytest.mark.parametrize(("value", "code"), [("a.json", 0), ("-", 0), ("/dev/stdout", 0), ("a.json/", 2), (".", 2)])
def test_an_output_is_the_name_of_a_file(value: str, code: int) -> None:
    """Or `-`; one that ends as that of a folder would be taken for the file of that name."""

    @click.command()
    @option("--out", type=OUTPUT_FILE)
    def command(out: Path) -> None:
        click.echo(repr(out))

    result = CliRunner().invoke(command, ["--out", value])
    assert result.exit_code == code
    if code == 0:
        assert result.output.strip() == repr(Path(value))
