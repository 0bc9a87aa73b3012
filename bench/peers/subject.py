"""Our gateway as it is measured: real settings, and a ledger that holds certified releases made by hand."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from calibration.evidence import LONG, SHORT
from ledger import releases
from ledger.database import connect
from router.settings import Settings, load
from tests.ledger.make import certified

KEY = "sk-bench"
RARELY = 1e-9  # references would have LiteLLM work beside everything that is measured
BASE_MODEL = "base"
DECISIVE = {SHORT: "min_logprob", LONG: "q00"}


def write_subject(
    folder: Path, *, upstream: int, gateway: int, teacher_server: int, more: Sequence[str] = ()
) -> tuple[Path, Settings]:
    """Configuration and ledger. Tasks: `desk` is judged by whole drafts, `letters` by a prefix; the teacher `big` is
    behind LiteLLM, and `mock`, a name that no task has, is passed through to. `more` tasks are as `desk`, and have no
    release."""
    price, mock = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 1.0}, f"http://127.0.0.1:{upstream}/v1"
    values: dict[str, Any] = {
        "server": {"port": gateway, "api_key": KEY},
        "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool"},
        "teacher_server": {"port": teacher_server},
        "teachers": {
            "big": {"model": "openai/mock", "base_url": mock, "price": price},
            "mock": {"model": "mock", "base_url": mock, "price": price, "direct": True},
        },
        "student": {"base_model": BASE_MODEL, "port": upstream, "price": price},
        "tasks": {
            "desk": {"teacher": "big", "rho": RARELY, "max_tokens": 100},
            "letters": {"teacher": "big", "rho": RARELY, "max_tokens": 100, "prefix": 16},
        },
    }
    values["tasks"] |= {name: values["tasks"]["desk"] for name in more}
    config = folder / "tutelage.yaml"
    config.write_text(yaml.safe_dump(values))
    settings = load(config)
    _promote(settings)
    return config, settings


def _promote(settings: Settings) -> None:
    engine, now = connect(settings.ledger.url), time.time()
    for task, features in (("desk", SHORT), ("letters", LONG)):
        promote(engine, task, features, settings=settings, now=now)
    engine.dispose()


def promote(engine: sa.Engine, task: str, features: tuple[str, ...], *, settings: Settings, now: float) -> str:
    """One more release of a task in force; its name."""
    name = releases.add_candidate(engine, task=task, cut_at=0.0, base_model=BASE_MODEL, now=now).name
    values = certified(bound_to=settings.binding(task), expires_at=now + 86_400.0)
    releases.promote(engine, name, values={**values, "calibrator": _calibrator(features)}, now=now)
    return name


def _calibrator(features: tuple[str, ...]) -> dict[str, Any]:
    """All features are read, as by a fitted one; the least certain token decides."""
    return {
        "features": list(features),
        "means": [0.0] * len(features),
        "scales": [1.0] * len(features),
        "weights": [4.0 * (name == DECISIVE[features]) for name in features],
        "bias": 2.0,
    }
