"""A ledger that looks as one does after some weeks: two tasks, three rounds of one of them, and strangers."""

import random
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from msgspec.structs import replace

from ledger import decisions, live
from ledger.database import connect
from ledger.decisions import Decision
from ledger.ingest import store
from ledger.live import Live
from ledger.records import Draft, Exchange, Label, TeacherReply, Usage
from ledger.releases import add_candidate, promote, refuse, set_adapter, void
from router.settings import load
from tests.ledger.make import certified, exchange

DAY_S = 86400.0
TOPICS = ("refund", "delivery", "invoice", "password", "voucher")
PERMISSION = {"terms": "https://example.com/terms", "confirmed_by": "the legal team, 2026-01-15"}
SETTINGS = {
    "teachers": {"big": {"model": "openai/gpt-4o", "may_train": True, **PERMISSION}},
    "student": {"base_model": "m", "price": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}},
    "tasks": {"support-topics": {"teacher": "big", "alpha": 0.05}, "invoice-fields": {"teacher": "big"}},
}
ASKED = "Hello, my {topic} number {number} is not what I was told; could somebody look into it, please?"
ROUNDS = (("", 0.0), ("support-topics--v000001", 0.58), ("support-topics--v000003", 0.81))
NASTY = '<script>alert("x")</script><img src=//evil.example/a.png>'


def configuration(folder: Path, **fields: object) -> Path:
    """A file of settings whose ledger is in the same folder."""
    path = folder / "tutelage.yaml"
    ledger = {"url": f"sqlite:///{folder / 'ledger.db'}", "spool_dir": str(folder / "spool")}
    path.write_text(yaml.safe_dump({**SETTINGS, "ledger": ledger, **fields}))
    return path


def filled(path: Path, *, now: float, a_day: int = 60) -> sa.Engine:
    """The ledger of a configuration, with three weeks in it that end now."""
    engine, draw = connect(load(path).ledger.url), random.Random(0)
    begin = now - 21 * DAY_S
    for number, (name, coverage) in enumerate(ROUNDS):
        since = begin + 7 * number * DAY_S
        if name:
            _release(engine, coverage=coverage, since=since)
        store(engine, list(_week(draw, name, coverage=coverage, since=since, a_day=a_day)))
    store(engine, [_stranger(900_000 + n, now - 3600.0 * n, f"We met on day {n}, and agreed.") for n in range(40)])
    store(engine, [_asked(990_000, now - 1.0, NASTY)])
    decisions.record(engine, Decision(now, "support-topics", "wait", "new_rows", "412 of 1,000 new rows", None))
    return engine


def _release(engine: sa.Engine, *, coverage: float, since: float) -> None:
    made = add_candidate(engine, task="support-topics", cut_at=since - 1, base_model="m", now=since - 900)
    set_adapter(engine, made.name, path=f"/adapters/{made.name}", digest=f"d{made.number}")
    values = certified(coverage=coverage, alpha=0.05, threshold=0.9)
    values["report"] |= {**_told(coverage), "permission": {"teacher": "openai/gpt-4o", **PERMISSION}}
    promote(engine, made.name, values=values, now=since)
    live.publish(
        engine, made.name, Live(since, 400, 60, 1 + made.number, 0.978 - 0.004 * made.number, 0.94, 0.992, 0.2)
    )
    if made.number == 1:
        weak = add_candidate(engine, task="support-topics", cut_at=since, base_model="m", now=since + DAY_S)
        refusal = {"reason": "212 references would certify with a chance of 11 %", "labels_seen": False}
        refuse(engine, weak.name, refusal=refusal, report={}, now=since + DAY_S)


def _told(coverage: float) -> dict[str, Any]:
    """What its report says beside the certificate: of drafts of 48 and 2 tokens, and answers of 0.35 cents."""
    student, teacher = (
        {"rows": 200, "prompt_tokens": prompt, "answer_tokens": 2.0, "timed": 200, "p50_s": p50_s, "p95_s": p95_s}
        for prompt, p50_s, p95_s in ((48.0, 0.12, 0.31), (52.0, 0.8, 0.8))
    )
    escalated, references = 0.0035 * (1 - coverage), 0.05 * 0.0035 * coverage
    usd = {"teacher_alone": 0.0035, "drafts": 0.00001, "escalated": escalated, "references": references}
    counts = {"rows": 40, "teacher_wrong": 12, "fixed": 5, "copied": 4, "added": 2}
    return {
        "effort": {"of": "window", "student": student, "teacher": teacher},
        "expected": {"rows": 200, "escalation": 1 - coverage, "rho": 0.05, "dollars": {"rows": 200, **usd}},
        "people": {"drafts": counts, "answers": {"rows": 30, "teacher_wrong": 9, "fixed": 4, "copied": 4, "added": 1}},
    }


def _week(draw: random.Random, release: str, *, coverage: float, since: float, a_day: int) -> list[Exchange | Label]:
    found: list[Exchange | Label] = []
    for n in range(7 * a_day):
        topic, at = draw.choice(TOPICS), since + n * DAY_S / a_day
        number = int(at) * 1000 + n
        text = ASKED.format(topic=topic, number=n)
        if not release:
            found.append(_asked(number, at, text, answer=topic))
            continue
        accepted = draw.random() < coverage
        draft = Draft(topic, "stop", {"first_logprob": -0.02, "min_margin": 3.1}, Usage(48, 2), 0.00001)
        score = draw.uniform(0.9, 1.0) if accepted else draw.uniform(0.2, 0.899)
        fields = {"release": release, "draft": draft, "score": score, "threshold": 0.9, "rho": 0.2}
        if accepted:
            reference = draw.random() < 0.2
            fields |= {"route": "student", "reason": "accepted", "teacher_reply": None, "reference": reference}
            found.append(_asked(number, at, text, answer=topic, **fields))
            if reference:
                reply = TeacherReply("big", topic, "stop", Usage(52, 2), 0.0035)
                found.append(Label(exchange_id=f"id-{number:06d}", at=at + 2, reply=reply))
        else:
            found.append(_asked(number, at, text, answer=topic, **{**fields, "reason": "unsure"}))
    return found


def _stranger(number: int, at: float, text: str) -> Exchange:
    messages = [{"role": "system", "content": "Summarise the note in a word."}, {"role": "user", "content": text}]
    own = {"task": None, "model": "big", "reason": "no_task", "eligible": False, "reference": False, "rho": None}
    return replace(_asked(number, at, text), messages=messages, prompt_fingerprint="stranger", **own)


def _asked(number: int, at: float, text: str, *, answer: str = "refund", **fields: object) -> Exchange:
    messages = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": text}]
    reply = TeacherReply("big", answer, "stop", Usage(52, 2), 0.0035, 0.8)
    given = {"task": "support-topics", "model": "support-topics", "teacher_reply": reply, "rho": 1.0, "reference": True}
    return exchange(number, at=at, messages=messages, answer=answer, **{**given, **fields})


def close(engine: sa.Engine, name: str, *, now: float) -> None:
    """An alarm."""
    void(engine, name, reason="the alarm has sounded", now=now)
