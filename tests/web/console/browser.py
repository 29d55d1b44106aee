"""A real browser for tests of the console: the system's Chromium, which ends with the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""


class Window:
    """A page of the browser, and what its console complained of.

    Attributes:
        page: Playwright's.
        complaints: errors of scripts, refused resources, violations of the content policy.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._hear(message))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def barriers(self) -> list[str]:
        """What keeps people out of this page: violations that axe-core calls serious or critical, and where."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        found = axe.run(self.page).response["violations"]
        return [
            f"{one['id']}: {node['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    @property
    def is_cut_off(self) -> bool:
        """Whether something reaches beyond the window's right edge."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@contextmanager
def window(width: int = 1280, scheme: str = "light", script: bool = True) -> Iterator[Window]:
    """A window of a browser of its own.

    Args:
        width: px; the height is 900.
        scheme: light or dark.
        script: whether pages may run any.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no Chromium on this system: make test-tools")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
            )
            yield Window(context.new_page())
        finally:
            browser.close()
