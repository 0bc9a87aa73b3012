"""Pictures of a console that is up, as docs/console has them: `python -m bench.screenshots URL OUT`.

URL is what `make demo KEEP=1` has told. Chromium takes each page whole, in light, in dark and on a phone: what was
saved, a task with savings, agreement and releases, its champion, an exchange that was escalated with why, tasks found.
Where the console asks for a key, TUTELAGE_SERVER__API_KEY holds an admin's. Status 1: something of it was not there.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Error, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE, PHONE = {"width": 1180, "height": 900}, {"width": 390, "height": 844}
SHADES: Mapping[str, Mapping[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "device_scale_factor": 2},
}
TASK, RELEASE, EXCHANGE = "main a[href^='/console/tasks/']", "main a[href^='/console/releases/']", "tbody a"


class NotThere(Exception):
    """The console does not show it; the message says what, and what to do."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises NotThere where there is none."""
    if CHROMIUM is None:
        raise NotThere("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, base: str, *, key: str | None, shade: str) -> Page:
    """A page of the console, behind its login. Raises NotThere where it is not up, or does not let us in."""
    context = browser.new_context(base_url=base, **SHADES[shade])
    try:
        if key:
            context.request.post("/console/login", form={"key": key})
        status = context.request.get("/console").status
    except Error as error:
        raise NotThere(f"no console answers at {base}: {error.message.splitlines()[0]}") from error
    if status != 200:
        raise NotThere(f"{base}/console answers {status}: an admin's key belongs into TUTELAGE_SERVER__API_KEY")
    return context.new_page()


def places(page: Page) -> dict[str, str | None]:
    """Name of a picture -> path of its page; None: there is nothing to show."""
    task = _link(page, "/console", TASK)
    champion = _link(page, "/console", RELEASE) or (task and _link(page, task, RELEASE))
    escalated = _link(page, "/console/exchanges?reason=unsure", EXCHANGE)
    found = "/console/found" if _link(page, "/console/found", "article") is not None else None
    return {"overview": "/console", "task": task, "release": champion, "exchange": escalated, "found": found}


def take(page: Page, path: str, *, to: Path) -> None:
    """The whole page with its charts. Raises NotThere where it fails, or one of them is not drawn."""
    answer = page.goto(path)
    if answer is None or not answer.ok:
        raise NotThere(f"{path} answers {answer.status if answer else 'nothing'}")
    page.wait_for_load_state("networkidle")
    if not page.eval_on_selector_all("img", "all => all.every(img => img.complete && img.naturalWidth > 0)"):
        raise NotThere(f"{path} has a chart that is not drawn")
    page.screenshot(path=str(to), full_page=True)


def _link(page: Page, path: str, selector: str) -> str | None:
    """The address of the first such link ("" where it is none); None where there is no such thing."""
    page.goto(path)
    first = page.query_selector(selector)
    return first and (first.get_attribute("href") or "")


def pictures(base: str, out: Path, *, key: str | None) -> list[str]:
    """Take them all; returns what there was nothing to show of. Raises NotThere."""
    out.mkdir(parents=True, exist_ok=True)
    missing: set[str] = set()
    with chromium() as browser:
        for shade in SHADES:
            page = opened(browser, base, key=key, shade=shade)
            for name, path in places(page).items():
                if path is None:
                    missing.add(name)
                    continue
                to = out / f"{name}-{shade}.png"
                take(page, path, to=to)
                print(f"{to}: {path}")
    return sorted(missing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 with every picture, 1 where some have nothing to show, 2 where none can be taken."""
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots", description=__doc__)
    parser.add_argument("url", metavar="URL", help="http://127.0.0.1:PORT/console")
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder")
    options = parser.parse_args(arguments)
    at = urlsplit(options.url)
    if at.scheme not in ("http", "https") or not at.netloc:
        parser.error(f"{options.url} is no address of a console, such as http://127.0.0.1:8090/console")
    try:
        missing = pictures(f"{at.scheme}://{at.netloc}", options.out, key=os.environ.get("TUTELAGE_SERVER__API_KEY"))
    except NotThere as why:
        parser.error(str(why))
    for name in missing:
        print(f"no picture of {name}: the console has nothing to show there", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
