"""The settings of where we listen and what is kept: the gateway, the console, the ledger."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from ledger.budgets import Budget, Per
from router.redact_settings import RedactSettings
from router.sections import Port, Seconds, Section

LIMIT_STORES = ("async+memory://", "async+redis://", "async+rediss://", "async+redis+unix://")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Budgeted(Section):
    """What may be spent at teachers, in US dollars, in a month (where `budget_per` is not set) or a day of the calendar
    in UTC, or altogether. None: it is not limited, and not counted."""

    budget_usd: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    budget_per: Per | None = None

    @model_validator(mode="after")
    def _period_is_of_a_budget(self) -> Self:
        if self.budget_usd is None and self.budget_per is not None:
            raise ValueError("budget_per says nothing without budget_usd: set that, or leave it out")
        return self

    @property
    def budget(self) -> Budget | None:
        """As the ledger counts it."""
        return None if self.budget_usd is None else Budget(self.budget_usd, self.budget_per or "month")


class Server(Budgeted):
    """Where the gateway listens. Any address but loopback needs an API key: `api_key`, that of an admin and of our own
    worker, beside the keys that `tutelage keys` makes. `budget_usd`: of all tasks, and of requests without one.

    `limits_url` is where capacity is counted: in memory, of each gateway process by itself, or in a shared Redis
    (`async+redis://HOST:PORT`). `workers`: processes on the port. `request_timeout_s`: of a head, or a body, to arrive.
    With `admin_port`, `/metrics` and `/internal` are there, on the same host, and not on `port`.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    admin_port: Port | None = None
    api_key: SecretStr | None = None
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1 << 20
    request_timeout_s: Seconds = 30.0
    limits_url: SecretStr = SecretStr("async+memory://")

    @field_validator("limits_url")
    @classmethod
    def _counts_somewhere(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(LIMIT_STORES):
            raise ValueError(f"must begin with one of {', '.join(LIMIT_STORES)}")
        return url

    @property
    def counts_together(self) -> bool:
        """Whether several gateway processes keep to one capacity."""
        return not self.limits_url.get_secret_value().startswith("async+memory://")

    @model_validator(mode="after")
    def _ports_are_two(self) -> Self:
        if self.admin_port == self.port:
            raise ValueError(f"admin_port {self.admin_port} is port too: give it another number, or leave it out")
        return self

    @model_validator(mode="after")
    def _needs_a_key_in_public(self) -> Self:
        if self.host not in LOOPBACK and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError(
                f"host {self.host} is reachable from outside: set server.api_key (TUTELAGE_SERVER__API_KEY)"
            )
        return self


class ConsoleSettings(Section):
    """Where the console is: the ledger as pages, for admins. Any address but loopback needs `server.api_key`."""

    host: str = "127.0.0.1"
    port: Port = 8090


class LedgerSettings(Section):
    """Where records live: every gateway process's spool folder and the database the ingester fills. After keep_days the
    worker takes the texts out, prompts and answers; times, tokens, costs and scores stay (null: all is kept). `redact`:
    what is taken out of texts before they are written."""

    url: str = "sqlite:///tutelage-data/ledger.db"
    spool_dir: Path = Path("tutelage-data/spool")
    keep_days: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    redact: RedactSettings | None = None
