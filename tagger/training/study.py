"""Optuna studies of `fmtag tune` in an SQLite file: opened by one search at a time, checked, and continued after a stop."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.errors import LedgerError, LockedError, TuningError
from tagger.lock import file_lock
from tagger.training.recipe import with_current_names

if TYPE_CHECKING:
    import optuna

STUDY = "fmtag"
"""Name of the study within its file."""

PRUNED_FROM = 2
"""First epoch after which a trial may be pruned."""


def import_optuna() -> Any:
    """Return Optuna with its log messages below errors off; raises `TuningError` where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise TuningError("The search needs Optuna; install it with pip install 'fmtag[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@contextmanager
def exclusive(path: Path, lock: Path) -> Iterator[None]:
    """Hold the lock of the study in `path` during the block; raises `LockedError` where another search holds it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lock, option="--study"))
        except LockedError as error:
            raise LockedError(f"Another search uses {path}; wait until it ends, or stop it.") from error
        except LedgerError as error:
            raise TuningError(str(error)) from error
        yield


@contextmanager
def open_study(path: Path) -> "Iterator[optuna.Study]":
    """Yield the study in a file, which is created where it does not exist; raises `TuningError` for any other file."""
    optuna = import_optuna()
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    _refuse_other_files(path)
    try:
        url = URL.create("sqlite", database=str(path.resolve())).render_as_string()
        try:
            storage = optuna.storages.RDBStorage(url)
        except RuntimeError as error:
            raise TuningError(f"{path} is from another version of Optuna; give --study another file.") from error
        try:
            yield optuna.create_study(
                storage=storage,
                study_name=STUDY,
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_warmup_steps=PRUNED_FROM),
            )
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (SQLAlchemyError, optuna.exceptions.OptunaError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TuningError(f"The study {path} cannot be read or written ({reason}); give --study another file.") from error


def _refuse_other_files(path: Path) -> None:
    """Raise `TuningError` for a file that is not a study: Optuna would create its tables in any SQLite file."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as file:
            tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise TuningError(f"{path} is not a study, or damaged ({error}); give --study another file.") from error
    if tables and tables.isdisjoint(("studies", "version_info")):
        raise TuningError(f"{path} is another SQLite file and not a study; give --study another file.")


def check_settings(study: "optuna.Study", settings: Mapping[str, Any], path: Path) -> None:
    """Store in a new study the settings that its trials share; raises `TuningError` where an older study has other ones."""
    stored = study.user_attrs.get("about")
    if stored is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("about", dict(settings))
        return
    if stored is not None and "recipe" in stored:
        stored = stored | {"recipe": with_current_names(stored["recipe"])}
    changed = [name for name in settings if stored is None or stored.get(name) != settings[name]]
    details = [
        f"{name} {stored.get(name)}, not {settings[name]}" for name in changed if stored and name not in ("data", "recipe")
    ]
    if changed:
        raise TuningError(
            f"The study {path} was begun with other settings ({'; '.join(details or changed)}); give the same ones, or another "
            "--study."
        )


def ended_trials(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Return the completed and the pruned trials in their order; those that were interrupted do not count."""
    states = import_optuna().trial.TrialState
    return study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))


def fail_interrupted_trials(study: "optuna.Study") -> None:
    """Mark the trial that was running when a search was killed as failed, so that it is run again."""
    states = import_optuna().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
