"""What the bench of accounting takes out, calls and computes; nothing of how long anything takes."""

import httpx
import pytest

from bench.peers.accounting import Accounting, Scraped, Spent
from bench.peers.accounting_tables import tables, taken
from bench.peers.counted import ALL, COUNTING, NOTHING, WRITING, add_switches
from bench.peers.many import NAMES, RELEASES, fill, traffic
from bench.peers.pieces import ENDED, Pieces, requests, scrapes
from bench.peers.subject import write_subject
from router.app import create_app
from router.metrics import Metrics
from tests.fakes import FakeStudent, MemorySpool, gateway

PIECES = ("record", "write", "count", "dollars")


def spent(at: tuple[int, int], without: str, cpu_us: float, *, files: bool = False) -> Spent:
    """`at`: round and turn."""
    return Spent(files, *at, without, cpu_us, 2 * cpu_us, 1.0)


def test_what_a_part_takes_is_compared_within_its_turn_and_averaged_over_a_round():
    found = [
        *(spent((0, 0), part, cpu) for part, cpu in ((NOTHING, 310.0), (COUNTING, 300.0))),
        *(spent((0, 1), part, cpu) for part, cpu in ((NOTHING, 510.0), (COUNTING, 506.0))),
        *(spent((1, 0), part, cpu) for part, cpu in ((NOTHING, 300.0), (COUNTING, 298.0))),
        spent((0, 0), NOTHING, 999.0, files=True),
        spent((2, 0), COUNTING, 1.0),  # its turn was not finished
    ]
    added = taken(found, "cpu_us", part=COUNTING, files=False)
    assert added is not None and (added.least, added.median, added.most) == (2.0, 4.5, 7.0)
    assert taken(found, "p50_us", part=COUNTING, files=False).most == 14.0
    assert taken(found, "cpu_us", part=COUNTING, files=True) is None


@pytest.mark.parametrize(
    ("part", "recorded", "counted"), [(NOTHING, 1, 1), (COUNTING, 1, 0), (WRITING, 0, 1), (ALL, 0, 0)]
)
async def test_a_part_is_taken_out_and_nothing_else(part, recorded, counted):
    spool, metrics = MemorySpool(), Metrics()
    app = create_app(gateway(spool=spool, metrics=metrics, student=FakeStudent()))
    add_switches(app)
    body = {"model": "desk", "messages": [{"role": "system", "content": "Name the topic."}]}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        for each in (ALL, part):  # from one to another too
            (await http.post(f"/bench/without/{each}")).raise_for_status()
        reply = await http.post("/v1/chat/completions", json=body)
    assert (reply.status_code, reply.headers["x-tutelage-route"]) == (200, "student")
    asked = {"task": "desk", "route": "student", "reason": "accepted", "status": "200"}
    assert (metrics.registry.get_sample_value("tutelage_requests_total", asked) or 0) == counted
    assert len(spool.records) == recorded


def test_every_kind_of_request_is_put_together_written_and_counted():
    found = requests(rounds=2, calls=3)
    assert found.keys() == ENDED.keys()
    for pieces in found.values():
        assert {name: len(figures) for name, figures in pieces.items()} == dict.fromkeys(PIECES, 2)


def test_a_page_has_all_tasks_and_releases(tmp_path):
    config, settings = write_subject(tmp_path, upstream=1, gateway=2, teacher_server=3, more=NAMES)
    fill(settings)
    settings.ledger.spool_dir.mkdir()
    page = scrapes(config, count=2)
    assert len(page["ledger_ms"]) == len(page["text_ms"]) == 2
    # Of each task at least two outcomes a release, and the buckets of what its kinds of answers took.
    assert page["lines"] > len(NAMES) * (2 * RELEASES + 100)
    drafts = {(each.task, each.release, each.reason) for each in traffic()}
    assert len(drafts) == 2 * RELEASES * len(NAMES)


def test_tables_tell_what_was_measured_and_leave_out_what_was_not():
    assert [*tables(Accounting())] == []
    called = {"the student's": {name: [4.0, 5.0, 6.0] for name in PIECES}}
    page = Pieces(False, called, [1.0], [2.0], 743_986, 10_244)
    seen = [Scraped(False, 0, None, 800.0, 2_000.0, 9_000.0, 0.1, [], 0)]
    seen.append(Scraped(False, 0, 5.0, 900.0, 3_000.0, 9_000.0, 0.2, [80.0, 90.0], 743_986))
    found = Accounting([spent((0, 0), NOTHING, 300.0), spent((0, 0), ALL, 280.0)], seen, [page])
    sockets, pieces, pages, scraped = ("\n".join(each) for each in tables(found))
    assert "| a request, everything accounted for | 300 (300-300) |" in sockets
    assert "| both, and putting the record together | 20.0 (20.0-20.0) |" in sockets
    assert "| counting it | - |" in sockets
    assert "| the student's | 5.0 (4.0-6.0) |" in pieces
    assert "| one process | 744 | 10,244 | 1.0 (1.0-1.0) | 2.0 (2.0-2.0) |" in pages
    assert "| one process | never | - | 800 (800-800) |" in scraped
    assert "| one process | every 5 s | 85 (80-90) | 900 (900-900) |" in scraped and "without a pause" not in scraped
