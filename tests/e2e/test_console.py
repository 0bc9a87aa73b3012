"""The console in a real Chromium: by keyboard, on a phone, in light and dark, behind its login; and its pictures."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from bench import screenshots
from bench.peers.processes import free_ports
from bench.screenshots import CHROMIUM, SHADES
from tests.tutelage.web.ledger import NASTY, configuration, filled

pytestmark = pytest.mark.e2e
if CHROMIUM is None:
    pytest.skip("Chromium is not installed (apt-get install chromium)", allow_module_level=True)
KEY = "boot-key-of-the-console"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A console of its own process, with three weeks in its ledger."""
    folder = tmp_path_factory.mktemp("console")
    path = configuration(folder)
    filled(path, now=time.time())
    with _console(folder, server={"api_key": KEY}) as base:
        yield base
    said = (folder / "log").read_text()
    assert KEY not in said and "number 3" not in said  # neither keys nor prompts are logged


@contextmanager
def _console(folder, **fields):
    """The process, over what the folder's ledger holds; its address."""
    (port,) = free_ports(1)
    path = configuration(folder, console={"port": port}, **fields)
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


@pytest.fixture(scope="module")
def chromium():
    with screenshots.chromium() as browser:
        yield browser


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
    [(looks, shade) for shade, looks in SHADES.items()],
    indirect=["page"],
    ids=list(SHADES),
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


def test_why_was_this_escalated(page):
    page.goto("/console/exchanges?task=support-topics&reason=unsure")
    page.click("tbody a >> nth=0")
    assert "The teacher was asked: the draft's score was" in page.text_content(".lead")


def test_html_in_a_prompt_stays_text(page):
    page.goto("/console/exchanges/id-990000")
    assert NASTY in page.text_content("main")
    assert page.eval_on_selector_all("main script, main img", "all => all.length") == 0


def test_the_pictures_of_a_console_that_is_up(url, tmp_path):
    taken = _command(f"{url}/console", tmp_path / "new/pictures", key=KEY)
    assert taken.returncode == 0, taken.stderr
    names = {f"{name}-{shade}" for name in ("overview", "task", "release", "exchange", "found") for shade in SHADES}
    assert {path.stem for path in (tmp_path / "new/pictures").iterdir()} == names
    assert "exchange-dark.png: /console/exchanges/id-" in taken.stdout


@pytest.mark.parametrize(
    ("key", "address", "words"),
    [
        ("wrong", "{}", "answers 401: an admin's key belongs into TUTELAGE_SERVER__API_KEY"),
        (KEY, "http://127.0.0.1:1", "no console answers at http://127.0.0.1:1"),
        (KEY, "127.0.0.1:8090", "is no address of a console"),
    ],
)
def test_no_picture_is_taken_of_anything_else(url, tmp_path, *, key, address, words):
    taken = _command(address.format(url), tmp_path / "out", key=key)
    assert taken.returncode == 2 and words in taken.stderr
    assert not list(tmp_path.glob("out/*"))


def test_a_page_that_fails_is_no_picture(chromium, url, tmp_path):
    page = screenshots.opened(chromium, url, key=KEY, shade="light")
    with pytest.raises(screenshots.NotThere, match="answers 404"):
        screenshots.take(page, "/console/releases/none", to=tmp_path / "none.png")
    page.context.close()
    assert not list(tmp_path.iterdir())


def test_what_a_console_has_not_is_told(tmp_path):
    """An empty one, open on loopback, as before the first request."""
    with _console(tmp_path) as base:
        taken = _command(base, tmp_path / "out")
    assert taken.returncode == 1
    for name in ("release", "exchange", "found"):
        assert f"no picture of {name}" in taken.stderr
    assert {path.stem.partition("-")[0] for path in (tmp_path / "out").iterdir()} == {"overview", "task"}


def _command(*arguments, key=""):
    command = [sys.executable, "-m", "bench.screenshots", *map(str, arguments)]
    environment = {**os.environ, "TUTELAGE_SERVER__API_KEY": key}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
