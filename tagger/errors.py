"""The ways in which a command can fail as a whole.

    FmtagError             exit 1: one sentence, what is wrong and what to do
      ConfigurationError   fmtag.toml or a recipe file cannot be read, or says what there is not or what cannot be
      SourceError          no such folder, a table without an image column, duplicate columns
      OutputError          the output cannot be written
      BundleError          weights missing, damaged, foreign or newer than this program
      DatasetError         Fashion-MNIST or labelled photos missing or not what they should be
      TrainingError        training cannot go on, or ended below its floor
      TuningError          a study cannot be gone on with, or Optuna is not there
      ExportError          a bundle cannot be written for another runtime, or would not say the same there
      DeviceError          the device asked for is not there
      LedgerError          the ledger cannot be read or written, or is from a newer fmtag
        LedgerDamagedError what it holds makes no sense; it is put aside and built anew
        LockedError        exit 4: another run holds it
    Interrupted            exit 128 + the signal's number: asked to stop, and stopped in order

A single broken photo is none of these: it is a `Failed` value that travels to its own row (see `records`).
"""


class FmtagError(Exception):
    """The command could not be done; the message says what is wrong and what to do."""

    exit_code = 1


class ConfigurationError(FmtagError):
    """The configuration file or a recipe file cannot be read, or says what there is not or what cannot be."""


class SourceError(FmtagError):
    """The source cannot be read as a folder, an image, a table or a list of paths."""


class OutputError(FmtagError):
    """The output cannot be written; whatever stood there before is untouched."""


class BundleError(FmtagError):
    """The bundle is missing, damaged, of a foreign kind or from a newer fmtag."""


class DatasetError(FmtagError):
    """Training or evaluation data is missing or is not what it should be."""


class TrainingError(FmtagError):
    """Training cannot go on, or its result is below the floor that was asked for."""


class TuningError(FmtagError):
    """A study of trials cannot be read, written or gone on with, or Optuna is not installed."""


class ExportError(FmtagError):
    """The bundle cannot be written for another runtime, or would not say the same there."""


class DeviceError(FmtagError):
    """The device asked for is not available on this machine."""


class LedgerError(FmtagError):
    """The ledger cannot be read or written, is none, or is from a newer fmtag."""


class LedgerDamagedError(LedgerError):
    """What the ledger holds makes no sense."""


class LockedError(LedgerError):
    """Another run holds the ledger."""

    exit_code = 4


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """A signal asked to stop, and what was in hand has been brought to an end."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
