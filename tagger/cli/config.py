"""The defaults of options that stand in a file, and where a value comes from that does not stand on the command line."""

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from tagger.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGURATION = "fmtag.toml"
"""Looked for in the working folder; flags and the environment overrule it."""

MOST_CONFIGURATION = 1_000_000
"""Bytes of that file."""

Known = TypeVar("Known")


def configured(path: Path, command: click.Command) -> dict[str, Any]:
    """Read the defaults that the TOML file `path` holds for a command and its subcommands, as click's `default_map`.

    Its tables are named like the subcommands, its keys like the long options: `[run]` and then `top-k = 3`. Empty where
    there is no file. Raises `ConfigurationError` where it cannot be read, or names what there is not, or a value is of
    another type than its option; what an option takes beyond that is checked when it is used.
    """
    if not path.exists():
        return {}
    remedy = "mend or remove it"
    if not path.is_file():
        raise ConfigurationError(f"{path} cannot be read as TOML, as it is no file; rename or remove it.")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_CONFIGURATION + 1)
        if len(content) > MOST_CONFIGURATION:
            raise ConfigurationError(f"{path} has more than {MOST_CONFIGURATION:,} bytes; {remedy}.")
        tables = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as TOML ({error}); {remedy}.") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} cannot be read as TOML (it is nested too deep); {remedy}.") from error
    return _defaults(command, tables, path, "")


def _defaults(command: click.Command, values: Mapping[str, Any], path: Path, table: str) -> dict[str, Any]:
    """Return the defaults of a command's options, and of its own commands, as click wants them."""
    options = [option for option in command.params if isinstance(option, click.Option) and not option.is_eager]
    known: dict[str, click.Option | click.Command] = {
        name.removeprefix("--"): option for option in options for name in option.opts if name.startswith("--")
    }
    known |= command.commands if isinstance(command, click.Group) else {}
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        found = _known(key.replace("_", "-"), known, path, table)
        within = f"{table}.{key}".lstrip(".")
        if isinstance(found, click.Option):
            defaults[str(found.name)] = _default(found, value, f"{path}, table [{table}], key {key}")
        elif isinstance(value, dict):
            defaults[str(found.name)] = _defaults(found, value, path, within)
        else:
            raise ConfigurationError(f"{path}: {within} must be a table; write [{within}] above its options.")
    return defaults


def _default(option: click.Option, value: Any, place: str) -> bool | str | list[str]:
    """Return a value of the file as click wants it: whether a flag is given, or text as on the command line."""
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
        raise ConfigurationError(f"{place}: one number, or one text in quotes, is wanted; write that.")
    return str(value)


def _known(name: str, among: Mapping[str, Known], path: Path, table: str) -> Known:
    if name in among:
        return among[name]
    near = difflib.get_close_matches(name, among, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(among) or 'none'}."
    within = f", table [{table}]," if table else ""
    raise ConfigurationError(f"{path}{within} names {name!r}, which there is not{hint}")


def origin(error: click.ClickException) -> str:
    """Return a sentence, after a blank, that names the variable or file of a wrong value; empty for the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None or error.param.name is None:
        return ""
    match error.ctx.get_parameter_source(error.param.name):
        case ParameterSource.ENVIRONMENT:
            return f" It comes from the variable {error.ctx.auto_envvar_prefix}_{error.param.name.upper()}; mend or unset that."
        case ParameterSource.DEFAULT_MAP:
            table = ".".join(error.ctx.command_path.split()[1:])
            return f" It comes from {CONFIGURATION}, table [{table}]; mend it there."
    return ""
