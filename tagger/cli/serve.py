"""`fmtag serve`: tag photos by HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.exit_codes import EXIT_ERROR
from tagger.cli.options import (
    FILE,
    YOUR_DEFAULT,
    Finite,
    LogFormat,
    bundle_name,
    option,
    with_debug,
    with_decoding,
    with_device,
    with_flagging,
    with_log,
    with_workers,
)
from tagger.cli.web_extra import require_web
from tagger.errors import ConfigurationError

if TYPE_CHECKING:
    from tagger.inference.tagger import Tagger
    from tagger.web.service import ServiceSettings
    from tagger.web.tokens import Tokens

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that only this machine reaches."""


@click.command()
@option("--host", default="127.0.0.1", show_default=True, help="Address to serve at; 0.0.0.0 for other machines, too.")
@option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="Port to serve at; 0 takes a free one.")
@option(
    "--model",
    callback=bundle_name,
    help=f"Bundle to use: its name, or its folder written with a separator, as ./mine.  {YOUR_DEFAULT}",
)
@with_flagging
@option(
    "--token",
    "tokens",
    multiple=True,
    metavar="TOKEN",
    help="Bearer token that clients must send; may be repeated. Better set by FMTAG_SERVE_TOKEN, as others see command lines.",
)
@option("--token-file", type=FILE, metavar="FILE", help="File with a token on each line.")
@option("--no-token", is_flag=True, help="Serve other machines without a token.")
@option(
    "--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="Further name to be reached by; may be repeated."
)
@option(
    "--allow-fetch",
    multiple=True,
    metavar="HOST",
    help="Fetch photos at https addresses of this host, with a port where it is not 443; may be repeated.  [default: of none]",
)
@option("--allow-http-fetch", is_flag=True, help="Fetch at http addresses of these hosts, too.")
@option("--max-files", type=click.IntRange(1, 10_000), default=64, show_default=True, help="Photos per request.")
@option(
    "--max-bytes", type=click.IntRange(1), default=50_000_000, show_default=True, metavar="N", help="Bytes of a request's body."
)
@option("--max-file-bytes", type=click.IntRange(1), default=25_000_000, show_default=True, metavar="N", help="Bytes per photo.")
@option(
    "--body-seconds",
    type=Finite(0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time in which a request's body must have come.",
)
@option(
    "--queue",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    metavar="N",
    help="Photos of all requests that wait or are in progress; further ones are refused.",
)
@option("--rate", type=click.IntRange(1), metavar="N", help="Requests per minute of a token or client.  [default: any number]")
@option("--batch-size", type=click.IntRange(1, 65_536), default=64, show_default=True, help="Number of photos per batch.")
@option(
    "--grace",
    type=Finite(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to answer what was accepted, once it is told to stop.",
)
@with_log
@with_device
@with_workers
@with_decoding
@with_debug
def serve(host: str, port: int, grace: float, quiet: bool, log_format: LogFormat, **options: Any) -> int:
    """Tag photos that are sent by HTTP: POST /v1/tags answers the rows that `fmtag run` writes.

    The page / tries it, /docs documents it. SIGTERM or Ctrl-C stops it: what was accepted is answered.

    Exit codes: 0 stopped, with all accepted requests answered; 1 it could not be served, or requests were given up; 2 wrong
    usage.
    """
    require_web()
    from tagger.web.listening import listening
    from tagger.web.monitoring import ServiceLog
    from tagger.web.server import serve as serve_until_stopped
    from tagger.web.service import create_service

    settings = _settings(host, options)
    log = ServiceLog(log_format == "json", quiet)
    with listening(host, port) as listener:
        tagger = _tagger(options)
        service = create_service(tagger, settings, log)

        def started() -> None:
            text = f"Serving {tagger.bundle.model} at {listener.address}; stop with Ctrl-C."
            log.write(text, event="started", address=listener.address, model=tagger.bundle.model)

        answered = serve_until_stopped(service, listener, log, started, grace)
    text = "Stopped." if answered else "Stopped; requests were given up, as --grace was over."
    log.write(text, event="stopped", answered=answered)
    return 0 if answered else EXIT_ERROR


def _tagger(options: dict[str, Any]) -> "Tagger":
    """Return the bundle with its networks open."""
    from tagger.inference.tagger import Tagger

    names = ("model", "device", "min_confidence", "precision")
    return Tagger(**{name: options[name] for name in names})


def _settings(host: str, options: dict[str, Any]) -> "ServiceSettings":
    """Return the settings of the service; raises `click.UsageError` where they contradict each other."""
    from dataclasses import fields

    from tagger.web.guard import local_hosts
    from tagger.web.limits import ServiceLimits
    from tagger.web.service import ServiceSettings

    limits = ServiceLimits(**{field.name: options[field.name] for field in fields(ServiceLimits)})
    if limits.queue < limits.max_files:
        raise click.UsageError(
            f"--queue {limits.queue} has no room for the photos of one request (--max-files {limits.max_files})."
        )
    return ServiceSettings(
        hosts=local_hosts(host, options["allowed_hosts"]),
        tokens=_tokens(host, options),
        limits=limits,
        decoding=options["decoding"],
        workers=options["workers"],
        batch_size=options["batch_size"],
        fetch_hosts=_fetch_hosts(options),
        fetch_http=options["allow_http_fetch"],
    )


def _tokens(host: str, options: dict[str, Any]) -> "Tokens":
    """Return the tokens that are accepted; other machines are served without one only where that is wanted."""
    from tagger.web.tokens import Tokens

    file: Path | None = options["token_file"]
    try:
        tokens = [*options["tokens"], *(file.read_text(encoding="utf-8").split() if file is not None else ())]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file of tokens {file} cannot be read ({error}).") from error
    if file is not None and not tokens:
        raise ConfigurationError(f"The file of tokens {file} is empty; write one on each line.")
    if options["no_token"] and tokens:
        raise click.UsageError("--no-token contradicts the tokens that are given.")
    if host not in LOOPBACK and not tokens and not options["no_token"]:
        raise click.UsageError(
            f"--host {host} lets other machines in: give a token by FMTAG_SERVE_TOKEN, --token or --token-file, or --no-token."
        )
    return Tokens(tokens)


def _fetch_hosts(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the hosts whose addresses are fetched, checked."""
    from tagger.web.fetching import AddressError, allowed_host

    try:
        for host in options["allow_fetch"]:
            allowed_host(host)
    except AddressError as error:
        raise click.UsageError(f"--allow-fetch: {error}") from None
    return tuple(options["allow_fetch"])
