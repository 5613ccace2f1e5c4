"""Read defaults of options from `fmtag.toml`, and name the origin of a value that does not stand on the command line."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tagger.cli.options import Option
from tagger.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGURATION = "fmtag.toml"
"""Read from the working folder; options on the command line and environment variables take precedence."""

MAX_CONFIGURATION_BYTES = 1_000_000
"""Larger files are refused, not read."""


def configured(path: Path, command: click.Command) -> dict[str, Any]:
    """Read the defaults that the TOML file `path` holds for a command and its subcommands, as click's `default_map`.

    Its tables are named like the subcommands, its keys like the long options: `[run]` and then `top-k = 3`. Empty where
    no such file exists. Raises `ConfigurationError` where it cannot be read, where a table or an option is unknown, or where
    a value has another type than its option; the range of a value is checked when the command is invoked.
    """
    if not path.exists():
        return {}
    remedy = "correct or remove it"
    if not path.is_file():
        raise ConfigurationError(f"{path} cannot be read as TOML, as it is not a file; rename or remove it.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIGURATION_BYTES + 1)
        if len(content) > MAX_CONFIGURATION_BYTES:
            raise ConfigurationError(f"{path} has more than {MAX_CONFIGURATION_BYTES:,} bytes; {remedy}.")
        tables = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as TOML ({error}); {remedy}.") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} cannot be read as TOML (it is nested too deep); {remedy}.") from error
    return _defaults(command, tables, path, "")


def _defaults(command: click.Command, values: Mapping[str, Any], path: Path, table: str) -> dict[str, Any]:
    """Return the defaults of a command's options, and of its subcommands, as click wants them."""
    options = {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option) and not option.is_eager
        for name in option.opts
        if name.startswith("--")
    }
    context = click.Context(command)
    subcommands = command.list_commands(context) if isinstance(command, click.Group) else []
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("_", "-")
        if name in options:
            defaults[str(options[name].name)] = _default(options[name], value, f"{path}, table [{table}], key {key}")
        elif isinstance(command, click.Group) and name in subcommands:
            within = f"{table}.{key}".lstrip(".")
            if not isinstance(value, dict):
                raise ConfigurationError(f"{path}: {within} must be a table; write [{within}] above its options.")
            subcommand = command.get_command(context, name)
            defaults[name] = _defaults(subcommand, value, path, within) if subcommand else {}
        else:
            raise ConfigurationError(_unknown(name, [*options, *subcommands], path, table))
    return defaults


def _default(option: click.Option, value: Any, place: str) -> bool | str | list[str]:
    """Return a value of the file as click takes it: true or false for a flag, otherwise text as on the command line."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{place}: {option.opts[-1]} is a flag; write true or false.")
        return value
    if option.multiple:
        if not isinstance(value, list):
            raise ConfigurationError(
                f'{place}: {option.opts[-1]} may be given more than once; write a list, as in ["...", "..."].'
            )
        return [_text(part, place) for part in value]
    return _text(value, place)


def _text(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "\0" in str(value):
        raise ConfigurationError(f"{place}: one number, or one text in quotes, is required; write that.")
    return str(value)


def _unknown(name: str, among: Sequence[str], path: Path, table: str) -> str:
    """Return a sentence about an unknown name, with the nearest known one, or with all of them."""
    near = difflib.get_close_matches(name, among, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(among) or 'none'}."
    return f"{path}, table [{table}]: unknown option {name!r}; {hint}" if table else f"{path}: unknown table {name!r}; {hint}"


def origin(error: click.ClickException) -> str:
    """Return a sentence, after a blank, on the variable or file that a wrong value comes from; empty for the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None or error.param.name is None:
        return ""
    match error.ctx.get_parameter_source(error.param.name):
        case ParameterSource.ENVIRONMENT if isinstance(error.param, Option):
            return f" It comes from the variable {error.param.variable_used(error.ctx)}; correct or unset that."
        case ParameterSource.DEFAULT_MAP:
            table = ".".join(error.ctx.command_path.split()[1:])
            return f" It comes from {CONFIGURATION}, table [{table}]; correct it there."
    return ""
