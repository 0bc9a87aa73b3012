"""Records for ledger tests."""

from typing import Any

from ledger.records import Draft, Exchange, TeacherReply, Usage


def exchange(number: int, **fields: Any) -> Exchange:
    values: dict[str, Any] = {
        "id": f"id-{number:06d}",
        "at": float(number),
        "task": "desk",
        "origin": "client",
        "model": "desk",
        "messages": [{"role": "user", "content": f"message {number} \u2713"}],
        "params": {"max_tokens": 5},
        "prompt_fingerprint": "f",
        "route": "teacher",
        "reason": "no_release",
        "status": 200,
        "eligible": True,
        "reference": number % 2 == 0,
        "rho": 0.5,
        "teacher_reply": TeacherReply("big", f"label {number}", "stop", Usage(10, 1), 0.01, 0.2),
        "answer": f"label {number}",
    }
    return Exchange(**{**values, **fields})


def student_exchange(number: int, **fields: Any) -> Exchange:
    values = {
        "route": "student",
        "reason": "accepted",
        "draft": Draft("refund", "stop", {"x": 1.0}, Usage(10, 2), 0.001),
        "answer": "refund",
        "teacher_reply": None,
        "score": 0.9,
        "threshold": 0.5,
        "release": "desk--v000001",
    }
    return exchange(number, **{**values, **fields})
