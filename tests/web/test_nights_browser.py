"""The page over the nights in a real browser, served by a real process."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers import ROOT
from nights_helpers import uploads, write_ledger
from review_browser_helpers import CHROMIUM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium")]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the review of a shop whose camera broke eight nights ago, and yield its address with the token."""
    rng = np.random.default_rng(1)
    nights = [*(uploads(rng, 80) for _ in range(45)), *(uploads(rng, 80, 0.8, bins=12) for _ in range(8))]
    ledger = write_ledger(tmp_path_factory.mktemp("shop") / "tags.ledger", nights)
    command = [sys.executable, "-m", "tagger", "review", "--ledger", str(ledger), "--no-browser"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ledger.parent, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as server:
        assert server.stderr is not None
        try:
            found = re.search(r"http://\S+", server.stderr.readline())
            assert found is not None
            yield found[0]
        finally:
            server.terminate()
            server.wait(30)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_page_is_readable_on_a_desk_and_on_a_phone(browser: Any, address: str, scheme: str, width: int) -> None:
    """It is reached from the review, fits the width, breaks no rule of its policy, and has the scheme's colours."""
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        page.get_by_role("link", name="Nights").click()
        page.get_by_role("heading", name="Nights", exact=True).wait_for()
        assert page.get_by_text("Alarm: Share of flagged photos rose from").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        charts = page.get_by_role("img")
        assert charts.count() == 3
        assert all(80 < (charts.nth(number).bounding_box() or {})["height"] < 400 for number in range(3))
        line = "getComputedStyle(document.querySelector('.chart-line')).stroke"
        assert page.evaluate(line) == {"light": "rgb(27, 94, 158)", "dark": "rgb(124, 183, 242)"}[scheme]
        assert problems == []


def test_wide_tables_scroll_by_keyboard(browser: Any, address: str) -> None:
    """On a phone a table is a region that the keyboard reaches and scrolls sideways."""
    with browser.new_context(viewport={"width": 360, "height": 800}) as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("link", name="Nights").click()
        region = page.get_by_role("region", name="Numbers of each night")
        region.focus()
        page.keyboard.press("ArrowRight")
        for _ in range(50):  # not `wait_for_function`, whose eval the policy of the page forbids
            if page.evaluate("document.activeElement.scrollLeft"):
                return
            page.wait_for_timeout(100)
        pytest.fail("the table did not scroll")
