"""The errors that end a command.

    FmtagError             exit 1; the message is one sentence: what is wrong and what to do
      ConfigurationError   fmtag.toml or a recipe file cannot be read, or holds an unknown option or an invalid value
      SourceError          no such folder, a table without an image column, duplicate columns
      OutputError          the output cannot be written
      BundleError          weights missing, damaged, of another program or newer than this one
      DatasetError         Fashion-MNIST or labelled photos missing or not as expected
      TrainingError        training cannot continue, or ended below the required accuracy
      TuningError          a study cannot be continued, or Optuna is not installed
      ExportError          a bundle cannot be written for another runtime, or its predictions would differ there
      DeviceError          the device is not available
      ServerError          the page or the service cannot be served, or what it needs is not installed
      StorageError         a bucket cannot be used: missing, no access, credentials expired, not reached
      WorkerError          a process that does a part of the work ended before it was done
      LedgerError          the ledger cannot be read or written, or is from a newer fmtag
        LedgerDamagedError its content is inconsistent; it is set aside and a new one begun
        LockedError        exit 4; another run holds it
    Interrupted            exit 128 + the signal's number; a signal stopped the command in an orderly way

A single broken photo raises none of these: it is a `Failed` value in its own row (see `records`).
"""


class FmtagError(Exception):
    """The command could not be done; the message says what is wrong and what to do."""

    exit_code = 1


class ConfigurationError(FmtagError):
    """The configuration file or a recipe file cannot be read, or holds an unknown option or an invalid value."""


class SourceError(FmtagError):
    """The source cannot be read as a folder, an image, a table or a list of paths."""


class OutputError(FmtagError):
    """The output cannot be written; the file that was there before is unchanged."""


class BundleError(FmtagError):
    """The bundle is missing, damaged, of another program or from a newer fmtag."""


class DatasetError(FmtagError):
    """Training or evaluation data is missing or not as expected."""


class TrainingError(FmtagError):
    """Training cannot continue, or its result is below the required accuracy."""


class TuningError(FmtagError):
    """A study of trials cannot be read, written or continued, or Optuna is not installed."""


class ExportError(FmtagError):
    """The bundle cannot be written for another runtime, or its predictions would differ there."""


class DeviceError(FmtagError):
    """The device is not available on this machine."""


class StorageError(FmtagError):
    """A bucket cannot be used as a whole: missing, out of reach, without access, or what it needs is not installed."""


class WorkerError(FmtagError):
    """A process that does a part of the work ended before it was done, as for lack of memory."""


class ServerError(FmtagError):
    """A page or the service cannot be served: its address is taken, or what it needs is not installed."""


class LedgerError(FmtagError):
    """The ledger cannot be read or written, is another kind of file, or is from a newer fmtag."""


class LedgerDamagedError(LedgerError):
    """The content of the ledger is inconsistent."""


class LockedError(LedgerError):
    """Another run holds the ledger."""

    exit_code = 4


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """A signal stopped the command after the work in hand was finished."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def first_line_of(error: Exception) -> str:
    """Return the first line of an error's own words, or its type where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def reason_of(error: Exception) -> str:
    """Return why something failed: the system's or the error's own words, or its type where it has none."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
