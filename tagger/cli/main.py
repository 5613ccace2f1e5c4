"""The entry point: parse the command line, run one command, report errors, exit.

Each command is a module of this package with a click command of the same name. It is imported only when it is invoked, or when
its own help is wanted, and imports PyTorch, torchvision or pandas inside its function, so that `fmtag --help` answers at once.
"""

import json
import shlex
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from tagger import __version__
from tagger.cli.config import CONFIGURATION, configured, origin
from tagger.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED
from tagger.cli.options import Invocation
from tagger.errors import FmtagError
from tagger.escaping import for_json, for_terminal
from tagger.standard_streams import standard_streams

COMMANDS = {
    "run": "Tag the photos of a folder, a table or a list.",
    "merge": "Merge the outputs of a source's shards into one.",
    "doctor": "Say what a run would read, leave out and refuse.",
    "explain": "Show what the ledger records about one photo.",
    "review": "Settle the doubtful photos on a page in the browser.",
    "corrections": "Write what people decided to a file, or take it from one.",
    "nights": "Show each night's uploads, and what has changed.",
    "serve": "Tag photos that are sent by HTTP.",
    "adapt": "Adapt a bundle to a shop's catalog, with or without labels.",
    "pick": "Choose the photos that are most worth labelling.",
    "evaluate": "Measure a bundle on labelled photos or on Fashion-MNIST.",
    "compare": "Compare bundles on the Fashion-MNIST test set.",
    "finetune": "Train on labelled photos of your own, with any labels.",
    "retrain": "Train a network on Fashion-MNIST or on the photo mix.",
    "tune": "Search for better training hyperparameters.",
    "export": "Write a bundle as an ONNX or torch.export file.",
    "models": "List bundles, show one, set the default.",
}
"""The commands in the order of the help, each with its short help; a command is `tagger.cli.NAME.NAME`."""


class LazyGroup(click.Group):
    """A group that imports a command when it is wanted, and lists all of them without importing any."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import and return a command; None where its name is unknown."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"tagger.cli.{name}"), name)
        command.short_help = COMMANDS[name]
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="fmtag %(version)s", help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context) -> None:
    """Tag catalog photos: a tag, a calibrated confidence and a low-confidence flag for each.

    Options can also be set by environment variables FMTAG_COMMAND_OPTION and in a file fmtag.toml.
    """
    context.ensure_object(Invocation)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; any error is one sentence on standard error."""
    with standard_streams():
        sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    """Run the command line, print its error, if any, and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    invocation = Invocation(shlex.join(["fmtag", *given]), debug="--debug" in given)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a photo stands in its own row
            code = cli.main(
                arguments,
                "fmtag",
                standalone_mode=False,
                auto_envvar_prefix="FMTAG",
                default_map=configured(Path(CONFIGURATION), cli),
                obj=invocation,
            )
        sys.stdout.flush()
    except click.ClickException as error:
        _print_usage_error(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; the output is as it was before.", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of standard output has closed it, as `head` does: nothing is wrong
        return EXIT_ERROR
    except Exception as error:
        _print_error(error, invocation)
        return error.exit_code if isinstance(error, FmtagError) else EXIT_ERROR
    return int(code or 0)


def _print_error(error: Exception, invocation: Invocation) -> None:
    """Print an error as one sentence or, for a run with `--log-format json`, as one JSON object."""
    if invocation.debug:
        for line in traceback.format_exc().rstrip("\n").split("\n"):
            click.echo(for_terminal(line), err=True)
    sentence = _sentence(error)
    if invocation.log_format == "json":
        click.echo(for_json(json.dumps({"event": "error", "message": sentence})), err=True)
    else:
        click.echo(f"Error: {for_terminal(sentence)}", err=True)


def _sentence(error: Exception) -> str:
    """Return what is wrong and what to do, also for an error that no code foresees."""
    if isinstance(error, FmtagError):
        return str(error)
    if isinstance(error, MemoryError):
        return "Not enough memory; close other programs, or give a smaller --batch-size or fewer --workers."
    details = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, OSError):
        return f"The operating system refused an operation ({details}); resolve that, or give --debug to see where it failed."
    return f"This is a bug in fmtag ({details}); run the command again with --debug, and report what it prints."


def _print_usage_error(error: click.ClickException) -> None:
    """Print what is wrong with the command line, as click does, but escaped, and with the origin of a wrong value."""
    if error.__class__.__name__ == "NoArgsIsHelpError":  # which older versions of click lack; the message is the help
        error.show()
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n", err=True)
    message = error.format_message()
    if not isinstance(error, click.MissingParameter):  # whose lines are click's own
        message = for_terminal(message + origin(error))
    click.echo(f"Error: {message}", err=True)
