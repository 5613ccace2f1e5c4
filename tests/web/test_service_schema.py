"""Requests made from the service's own description, good and bad, get answers that keep to it."""

import subprocess
import sys
from pathlib import Path

import pytest
from service_helpers import TOKEN, server

pytestmark = pytest.mark.slow

CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [401, 408, 413, 415, 422, 400]
"""
"""More photos than allowed are 413, which schemathesis does not take for a refusal by itself."""

LIMITS = ("--max-files", "4", "--max-bytes", "100000", "--max-file-bytes", "50000")


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_answers_keep_to_the_description(small_bundle: Path, tmp_path: Path, mode: str) -> None:
    """No error of the server; statuses, media types, headers and documents as described; what is wrong is refused.

    By schemathesis, with and without the token that is described.
    """
    pytest.importorskip("schemathesis")
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with server(small_bundle, *LIMITS, "--quiet", "--allow-fetch", "photos.invalid", FMTAG_SERVE_TOKEN=TOKEN) as (_, address):
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
        command += [
            "--header",
            f"Authorization: Bearer {TOKEN}",
            "--mode",
            mode,
            "--max-examples",
            "60",
            "--seed",
            "1",
            "--no-color",
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr
