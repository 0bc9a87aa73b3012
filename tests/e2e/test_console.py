"""The console in a real Chromium: by keyboard, on a phone, in light and dark, behind its login.

`TUTELAGE_SCREENSHOTS=docs/console` in the environment keeps the pictures.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from bench.peers.processes import free_ports
from tests.tutelage.web.ledger import NASTY, configuration, filled

pytestmark = pytest.mark.e2e
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("Chromium is not installed (apt-get install chromium)", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api")
KEY = "boot-key-of-the-console"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A console of its own process, with three weeks in its ledger."""
    folder = tmp_path_factory.mktemp("console")
    (port,) = free_ports(1)
    path = configuration(folder, console={"port": port}, server={"api_key": KEY})
    filled(path, now=time.time())
    with (folder / "log").open("w") as log:
        running = subprocess.Popen([sys.executable, "-m", "tutelage.web", str(path)], stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{base}/console/login").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield base
    finally:
        running.terminate()
        running.wait(10)
    said = (folder / "log").read_text()
    assert KEY not in said and "number 3" not in said  # neither keys nor prompts are logged


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, url, request):
    """A page behind the login; what its console says against it fails the test."""
    context = chromium.new_context(base_url=url, **getattr(request, "param", {}))
    page, complaints = context.new_page(), []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(url) else None)
    context.request.post("/console/login", form={"key": KEY})
    yield page
    context.close()
    assert complaints == []


def shot(page, name):
    if folder := os.environ.get("TUTELAGE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_a_keyboard_is_enough_to_log_in(chromium, url):
    context = chromium.new_context(base_url=url)
    page = context.new_page()
    page.goto("/console")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    assert "no key of an admin" in page.text_content("main")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("article")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(20):  # from the content on, to the first task
        page.keyboard.press("Tab")
        if "/console/tasks/" in (page.evaluate("document.activeElement.href") or ""):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/tasks/**")
    context.close()


WIDE, PHONE = {"width": 1180, "height": 900}, {"width": 390, "height": 844}
PAGES = {
    "overview": "/console",
    "task": "/console/tasks/support-topics",
    "exchanges": "/console/exchanges?task=support-topics&reason=unsure",
    "found": "/console/found",
    "release": "/console/releases/support-topics--v000003",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("page", "shade"),
    [
        ({"viewport": WIDE, "color_scheme": "light"}, "light"),
        ({"viewport": WIDE, "color_scheme": "dark"}, "dark"),
        ({"viewport": PHONE, "color_scheme": "dark", "device_scale_factor": 2}, "phone"),
    ],
    indirect=["page"],
    ids=["light", "dark", "phone"],
)
def test_every_page_fits_and_is_whole(page, name, shade):
    page.goto(PAGES[name])
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    drawn = page.eval_on_selector_all(
        "img", "all => all.map(img => [img.complete && img.naturalWidth > 0, img.currentSrc])"
    )
    wanted = "light" if shade == "light" else "dark"
    assert all(there and source.endswith(f"{wanted}.svg") for there, source in drawn)
    assert len(drawn) == (3 if name == "task" else 0)
    shot(page, f"{name}-{shade}")


def test_why_was_this_escalated(page):
    page.goto("/console/exchanges?task=support-topics&reason=unsure")
    page.click("tbody a >> nth=0")
    assert "The teacher was asked: the draft's score was" in page.text_content(".lead")
    shot(page, "exchange-light")


def test_html_in_a_prompt_stays_text(page):
    page.goto("/console/exchanges/id-990000")
    assert NASTY in page.text_content("main")
    assert page.eval_on_selector_all("main script, main img", "all => all.length") == 0
