"""Tell how to install what the web commands need where it is missing."""

from importlib.util import find_spec

from tagger.errors import ServerError

PACKAGES = ("fastapi", "jinja2", "prometheus_client", "python_multipart", "uvicorn")


def require_web() -> None:
    """Raise `ServerError` where a package of the extra `web` is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ServerError(f'This command needs {", ".join(missing)}; install it with: pip install "fmtag[web]"')
