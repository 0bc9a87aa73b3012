"""The console: what it shows, to whom, and that it changes nothing but what an admin asks for."""

import asyncio
import html
import time

import httpx
import pytest

from ledger.database import writing
from ledger.keys import Grant, create, revoke
from ledger.releases import champions, get, history
from ledger.totals import charge
from router.settings import load
from tests.tutelage.web.ledger import NASTY, close, configuration, filled
from tutelage.web import app as console
from tutelage.web.access import COOKIE, LASTS_S
from tutelage.web.app import create as create_app

CHAMPION = "support-topics--v000003"
OURS = {"sec-fetch-site": "same-origin"}
PAGES = (
    "/console",
    "/console/tasks/support-topics",
    "/console/tasks/invoice-fields",
    "/console/exchanges",
    f"/console/releases/{CHAMPION}",
    "/console/found",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    filled(configuration(folder), now=time.time(), a_day=20)
    return folder


@pytest.fixture
def engine(tmp_path):
    return filled(configuration(tmp_path), now=time.time(), a_day=6)


class Browser:
    """Asks the application as a browser would, with cookies, and follows no redirection."""

    def __init__(self, app, *, host="127.0.0.1"):
        self._app, self.host, self.cookies = app, host, httpx.Cookies()

    def get(self, path, **given):
        return asyncio.run(self._ask("GET", path, **given))

    def post(self, path, **given):
        return asyncio.run(self._ask("POST", path, **given))

    async def _ask(self, method, path, **given):
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(
            transport=transport, base_url=f"http://{self.host}", cookies=self.cookies
        ) as session:
            answer = await session.request(method, path, **given)
            self.cookies = session.cookies
            return answer


def client(folder, **fields):
    return Browser(create_app(load(configuration(folder, **fields))))


@pytest.fixture
def reader(folder):
    """Whoever asks while there are no keys."""
    return client(folder)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_and_may_load_nothing_from_elsewhere(reader, path):
    shown = reader.get(path)
    assert shown.status_code == 200 and "default-src 'none'" in shown.headers["content-security-policy"]
    assert "<script" not in shown.text and "style=" not in shown.text
    assert 'lang="en"' in shown.text and "<h1>" in shown.text


def test_the_overview_says_what_was_saved_and_what_is_in_force(reader):
    text = reader.get("/console").text
    assert "answered by students" in text and CHAMPION in text
    assert "to the first student" in " ".join(text.lower().split()) and "0 of 1000 rows" in text  # of the other task
    assert "40" in text and "(no task)" in text


def test_a_task_tells_its_rounds_with_a_table_for_each_chart(reader):
    text = reader.get("/console/tasks/support-topics").text
    assert text.count("<picture>") == text.count("<details>") == 3
    assert "none yet" in text and "chance of 11 %" in text and "412 of 1,000 new rows" in text
    assert f"Roll {CHAMPION} back" in text
    assert "Spent on teacher $" in text and ", reference $" in text and "probe $" not in text


def test_a_machine_that_saves_nothing_is_shown_as_a_loss(engine, tmp_path):
    with writing(engine) as connection:
        for name, usd in (("support-topics", 100.0), ("invoice-fields", 7.0), ("", 3.0)):
            charge(connection, name, origin="machine", usd=usd, at=time.time() - 7200.0)
    text = " ".join(client(tmp_path).get("/console").text.split())
    assert '<p class="figure bad">-$' in text and "-$7.00 saved: what a student takes before it answers" in text
    assert "$3.00 of the student's machine while no task had a student" in text
    assert "machine $100.00" in client(tmp_path).get("/console/tasks/support-topics").text
    assert client(tmp_path).get("/console/charts/savings/support-topics/light.svg").status_code == 200


def test_a_release_tells_under_which_terms_it_was_trained_and_on_whose_word(reader):
    text = reader.get(f"/console/releases/{CHAMPION}").text
    assert "https://example.com/terms" in text and "the legal team, 2026-01-15" in text


@pytest.mark.parametrize("chart", ["savings", "escalation", "agreement"])
@pytest.mark.parametrize("shade", ["light", "dark"])
def test_charts_are_drawn_for_light_and_dark(reader, chart, shade):
    drawn = reader.get(f"/console/charts/{chart}/support-topics/{shade}.svg")
    assert drawn.status_code == 200 and drawn.headers["content-type"] == "image/svg+xml"
    assert drawn.text.startswith("<svg") and "<script" not in drawn.text


@pytest.mark.parametrize(
    "path",
    [
        "/console/tasks/nobody",
        "/console/releases/nobody--v000001",
        "/console/exchanges/nobody",
        "/console/exchanges?before=x",
        "/console/charts/savings/nobody/dark.svg",
        "/console/charts/pie/support-topics/dark.svg",
    ],
)
def test_what_is_not_there_is_said(reader, path):
    assert reader.get(path).status_code == 404


def test_tasks_found_are_told_with_their_command(reader):
    text = reader.get("/console/found").text
    assert "40 requests to big" in text and "Summarise the note" in text and "tutelage tasks adopt" in text


def test_exchanges_are_searched(reader):
    rows = lambda **asked: reader.get("/console/exchanges", params=asked).text.count('<td class="text">') // 2  # noqa: E731
    assert rows() == 50 and rows(task="support-topics", route="student") == 50
    assert rows(text="INVOICE number 3") >= 1 and rows(text="100%_nothing") == 0
    assert rows(task="invoice-fields") == 0 and rows(reason="unsure") > 10


def test_the_next_page_goes_on_behind_the_last(reader):
    first = reader.get("/console/exchanges", params={"task": "support-topics"}).text
    link = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    ids = lambda text: {part.split('"')[0] for part in text.split("/console/exchanges/")[1:]}  # noqa: E731
    second = reader.get(link).text
    assert ids(first) and ids(second) and ids(first).isdisjoint(ids(second))


def test_it_says_why_the_teacher_was_asked(reader):
    listed = reader.get("/console/exchanges", params={"reason": "unsure"}).text
    page = reader.get("/console/exchanges/" + listed.split("/console/exchanges/")[1].split('"')[0]).text
    assert "The teacher was asked: the draft&#39;s score was 0." in page and "answers from 0.9000 on" in page
    assert "<meter" in page and "min_margin" in page


def test_html_in_a_prompt_is_text(reader):
    listed = reader.get("/console/exchanges", params={"text": "evil.example"}).text
    page = reader.get("/console/exchanges/id-990000").text
    for text in (listed, page):
        assert NASTY not in text and "&lt;script&gt;" in text


def test_without_keys_it_is_read_under_a_name_of_this_machine_alone(folder):
    held = Browser(create_app(load(configuration(folder))), host="rebound.example")
    assert held.get("/console").status_code == 401
    assert held.post("/console/rollback", data={"task": "support-topics"}, headers=OURS).status_code == 403


def test_with_a_key_nobody_is_let_in_without(folder):
    held = client(folder, server={"api_key": "boot"})
    for path in (*PAGES, "/console/charts/savings/support-topics/dark.svg"):
        assert held.get(path).status_code in (401, 403)
    assert held.post("/console/rollback", data={"task": "support-topics"}, headers=OURS).status_code == 403


def test_an_admin_logs_in_and_out(folder):
    held = client(folder, server={"api_key": "boot"})
    wrong = held.post("/console/login", data={"key": "wrong"}, headers=OURS)
    assert wrong.status_code == 403 and "no key of an admin" in wrong.text and not wrong.cookies
    entered = held.post("/console/login", data={"key": "boot", "next": "/console/found"}, headers=OURS)
    assert (entered.status_code, entered.headers["location"]) == (303, "/console/found")
    flags = entered.headers["set-cookie"].lower()
    assert "httponly" in flags and "samesite=strict" in flags and "boot" not in flags
    assert held.get("/console").status_code == 200
    held.post("/console/logout", headers=OURS)
    assert held.get("/console").status_code == 401


@pytest.mark.parametrize(
    "there", ["https://evil.example", "//evil.example", "/console//evil.example", "/other", "\\evil"]
)
def test_a_login_leads_nowhere_else(folder, there):
    held = client(folder, server={"api_key": "boot"})
    entered = held.post("/console/login", data={"key": "boot", "next": there}, headers=OURS)
    assert entered.headers["location"] == "/console"


def test_only_admins_are_let_in_and_only_as_long_as_their_key_is_valid(tmp_path, engine):
    now = time.time()
    (_, client_key), (admin, admin_key) = (create(engine, Grant("a", role), now=now) for role in ("client", "admin"))
    held = client(tmp_path)
    assert held.get("/console").status_code == 401
    assert held.post("/console/login", data={"key": client_key}, headers=OURS).status_code == 403
    assert held.post("/console/login", data={"key": admin_key}, headers=OURS).status_code == 303
    assert held.get("/console").status_code == 200
    revoke(engine, admin.id, now=now)
    ended = held.get("/console")
    assert ended.status_code == 401 and "not valid any more" in ended.text


def test_a_stale_session_is_told_so(folder, monkeypatch):
    held = client(folder, server={"api_key": "boot"})
    held.post("/console/login", data={"key": "boot"}, headers=OURS)
    kept = held.cookies[COOKIE]
    held.cookies = httpx.Cookies({COOKIE: kept})  # a browser that has not noticed
    later = time.time() + LASTS_S + 60
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    stale = held.get("/console/exchanges")
    assert stale.status_code == 401 and "Your session has ended" in stale.text
    assert 'value="/console/exchanges"' in stale.text


def test_a_forged_cookie_is_none(folder):
    held = client(folder, server={"api_key": "boot"})
    held.cookies.set(COOKIE, '"boot".x.y', path="/console")
    assert held.get("/console").status_code == 401


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_a_form_of_another_page_changes_nothing(tmp_path, engine, headers):
    held = client(tmp_path)
    refused = held.post("/console/rollback", data={"task": "support-topics"}, headers=headers)
    assert refused.status_code == 403 and champions(engine)["support-topics"].name == CHAMPION


def test_a_form_that_is_none_is_refused(folder):
    held = client(folder)
    assert held.post("/console/login", content=b"x" * 5000, headers=OURS).status_code == 403
    assert held.post("/console/promote", content=b"\xff\x00", headers=OURS).status_code == 409


def test_the_page_of_a_release_tells_what_is_expected_of_it_and_what_people_say(reader):
    page = html.unescape(reader.get(f"/console/releases/{CHAMPION}").text)
    assert "19.0% of requests like the window's" in page and "the teacher alone $3.50" in page
    assert "p50 0.12, p95 0.31, of 200 under the load of the evaluation" in page
    assert "5 fixed, 4 copied, 3 wrong otherwise, of 12" in page


def test_a_release_is_rolled_back_and_put_in_force_again(tmp_path, engine, monkeypatch):
    for name in ("rollback", "reinstate"):
        monkeypatch.setattr(f"tutelage.switching.{name}", bound(name))
    monkeypatch.setattr("tutelage.switching.load_champion", lambda settings, release: "")
    held = client(tmp_path)
    done = held.post("/console/rollback", data={"task": "support-topics"}, headers=OURS)
    assert done.status_code == 200 and "in force: support-topics--v000001" in done.text
    assert get(engine, CHAMPION).status == "rolled_back"
    assert "Put it in force" in held.get(f"/console/releases/{CHAMPION}").text
    assert held.post("/console/promote", data={"name": CHAMPION}, headers=OURS).status_code == 200
    assert champions(engine)["support-topics"].name == CHAMPION


def bound(name):
    """The step itself, with the binding that these releases were made with: none."""
    from ledger import releases

    return lambda engine, subject, *, binding, now: getattr(releases, name)(engine, subject, binding={}, now=now)


def test_what_cannot_be_done_is_said_and_changes_nothing(tmp_path, engine):
    close(engine, CHAMPION, now=time.time())
    held = client(tmp_path)
    refused = held.post("/console/promote", data={"name": CHAMPION}, headers=OURS)
    assert refused.status_code == 409 and "is voided" in refused.text
    assert held.post("/console/rollback", data={"task": "nobody"}, headers=OURS).status_code == 409
    assert [each.status for each in history(engine, "support-topics")] == ["retired", "refused", "voided"]


def test_an_empty_ledger_shows_the_way_to_the_first_student(tmp_path):
    held = client(tmp_path)
    text = held.get("/console").text
    assert text.count("<progress") == 4 and "nothing was asked" in text
    assert held.get("/console/tasks/support-topics").status_code == 200
    assert "No reference" in held.get("/console/tasks/support-topics").text


def test_a_ledger_that_does_not_answer_is_said(folder, monkeypatch):
    import sqlalchemy as sa

    def broken(_):
        raise sa.exc.OperationalError("select", {}, Exception("secret path"))

    monkeypatch.setattr(console.pages, "overview", broken)
    shown = client(folder).get("/console")
    assert shown.status_code == 503 and "secret" not in shown.text
