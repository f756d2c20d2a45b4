"""Headless Chromium for tests of pages: `pytest_plugins = ["tests.browser"]`, then ask for `page`.

Pages are opened from disk, as a user opens them. Whatever goes wrong in a page (an error on its
console, an exception, a file that does not load, a request to the network) is collected in
`page_problems`, and a test whose page had a problem fails when it ends.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "VOCODER_CHROMIUM"
HOW_TO_GET_IT = (
    "no Chromium for the tests of pages: apt-get install chromium, "
    f"or name the program in the variable {CHROMIUM}"
)
# No sandbox, so that it runs as root in a container; and no background network services.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOCAL = ("file:", "data:", "blob:", "about:")


def find_chromium() -> str | None:
    """The program named by the variable, else the one in the PATH."""
    return os.environ.get(CHROMIUM) or shutil.which("chromium")


# Of a module, not of the session: Playwright keeps an event loop running in this thread as long
# as it lives, in which other tests could start none.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; the test is skipped without one."""
    program = find_chromium()
    if program is None:
        pytest.skip(HOW_TO_GET_IT)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def page_problems() -> list[str]:
    """Errors of the page so far; a test that provokes an error clears the list."""
    return []


@pytest.fixture
def page(browser: Browser, page_problems: list[str]) -> Iterator[Page]:
    """A new page, 1280 × 800, in light mode; `page.goto(path.resolve().as_uri())` opens a file."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    fresh = context.new_page()
    watch(fresh, page_problems)
    yield fresh
    context.close()
    assert page_problems == []


def watch(page: Page, problems: list[str]) -> None:
    """Collect the errors of a page."""
    page.on(
        "console",
        lambda line: problems.append(f"console: {line.text}") if line.type == "error" else None,
    )
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(LOCAL) else problems.append(f"network: {request.url}")
        ),
    )

    def failed(request) -> None:  # type: ignore[no-untyped-def]
        # Aborted loading of a sound is no failure.
        if request.failure != "net::ERR_ABORTED":
            problems.append(f"not loaded: {request.url} ({request.failure})")

    page.on("requestfailed", failed)
