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


CERTIFICATE: dict[str, Any] = {
    "alpha": 0.1,
    "delta": 0.05,
    "threshold": 0.5,
    "n": 200,
    "accepted": 150,
    "errors": 5,
    "upper_bound": 0.07,
    "coverage": 0.75,
    "window": [0.0, 1.0],
    "attempt": 1,
    "delta_spent": 0.04,
    "issued_at": 1.0,
    "expires_at": 2e9,
    "fingerprint": "f",
}
CALIBRATOR = {"features": ["x"], "means": [0.0], "scales": [1.0], "weights": [1.0], "bias": 0.0}


def certified(*, bound_to: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """What a candidate is promoted with; `changes` are the certificate's."""
    report = {"bound_to": bound_to or {}}
    return {"calibrator": CALIBRATOR, "certificate": {**CERTIFICATE, **changes}, "report": report}
