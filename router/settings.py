"""Settings: one YAML file, overridden by the environment (`TUTELAGE_SERVER__PORT=9000`), validated once at start.

Read only in composition roots; the rest of the code receives plain values. Unknown keys are errors: a setting that
is accepted and ignored is a defect.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

import sqlalchemy as sa
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource
from yaml import YAMLError

from calibration.agreement import Measure, normalised
from calibration.certificate import fingerprint
from calibration.code import CODE
from calibration.question import By, Judge
from ledger import prices
from ledger.redaction import Redactor
from router.canary_settings import CanarySettings
from router.distill_settings import DistillSettings
from router.price_settings import TokenPrice
from router.prompt_settings import Prompted
from router.sections import Name, PerMinute, Port, Price, PrivateUrl, Seconds, Section, Share
from router.server_settings import LOOPBACK, Budgeted, ConsoleSettings, LedgerSettings, Server


class ConfigError(Exception):
    """The configuration cannot be used; the message names file and keys."""


class TeacherSettings(Section):
    """A teacher: a LiteLLM model string behind the teacher server or, with `direct`, an OpenAI-compatible URL.

    `may_train`: the provider's terms allow training a model on its outputs, `terms` says where, and `confirmed_by` who
    has read them and says so. Denied by default; each release keeps both.
    `capacity_rpm` and `capacity_tpm` are the requests and tokens that its provider allows a minute (None: not limited
    here). What is beyond them is refused by priority before the teacher is asked. Tokens are an estimate then: a
    quarter of the messages' characters, at least 1, and the request's max_tokens, or the task's, or 256.
    A try that fails before its first byte is made again up to `retries` times. Of each, `timeout_s` bounds the whole,
    `connect_timeout_s` the connection, and `first_token_timeout_s` the wait for a stream's first bytes, and for any
    further ones (None: timeout_s alone).
    record_logprobs: of each token of an answer that may teach so many alternatives are recorded with their
    log-probabilities, for distill.pattern logit; a teacher that refuses them is asked without. 0: not asked for.
    """

    model: str
    api_key_env: str | None = None
    base_url: str | None = None
    direct: bool = False
    timeout_s: Seconds = 60.0
    connect_timeout_s: Seconds = 5.0
    first_token_timeout_s: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    capacity_rpm: PerMinute | None = None
    capacity_tpm: PerMinute | None = None
    price: TokenPrice | None = None
    may_train: bool = False
    terms: str = ""
    confirmed_by: str = ""
    record_logprobs: Annotated[int, Field(ge=0, le=20)] = 0

    @model_validator(mode="after")
    def _timeouts_are_parts(self) -> Self:
        for name in ("connect_timeout_s", "first_token_timeout_s"):
            part = getattr(self, name)
            if name in self.model_fields_set and part is not None and part > self.timeout_s:
                raise ValueError(f"{name} {part:g} is longer than timeout_s {self.timeout_s:g}, which ends it all")
        return self

    @model_validator(mode="after")
    def _direct_is_complete(self) -> Self:
        if self.direct and not (self.base_url and self.price):
            raise ValueError("direct: true needs base_url and price: nobody else knows them")
        if self.may_train and not self.terms.strip():
            raise ValueError("may_train: true needs terms: say where the provider allows training on its outputs")
        if self.may_train and not self.confirmed_by.strip():
            raise ValueError("may_train: true needs confirmed_by: say who has read the terms and confirms it, and when")
        return self

    @property
    def permission(self) -> dict[str, str]:
        """What each release keeps of why its model may learn from this one."""
        return {"teacher": self.model, "terms": self.terms, "confirmed_by": self.confirmed_by}

    def api_key(self) -> str | None:
        """The key from the environment, or None where the teacher needs none."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env)
        if not key:
            raise ConfigError(f"the environment variable {self.api_key_env} (api_key_env) is not set")
        return key


class TeacherServer(Section):
    """The process that runs LiteLLM; it listens on loopback."""

    port: Port = 8081


class StudentSettings(Section):
    """vLLM, its base model, and what it costs: `price` of its tokens, or `usd_per_hour` of its machine, of all engines
    together, which the tasks share by what is drafted for them (docs/decisions/0026). One of them is to be said, 0 too.

    max_context_tokens: of a prompt with its answer; of an engine elsewhere its --max-model-len. Longer ones are the
    teacher's, and teach nothing.

    gpu_memory_share: of its GPU's memory that vLLM takes; null: half, or nine tenths where a training computes on
    others (distill.gpus). Without a GPU it says nothing.

    With `base_url`, http://HOST:PORT, vLLM is elsewhere and `tutelage up` starts none. Several engines behind it share
    what is asked; `load_url` then is a name of which every address is one of them, since adapters are loaded on each.
    """

    base_model: str
    port: Port = 8082
    timeout_s: Seconds = 20.0
    base_url: PrivateUrl | None = None
    load_url: PrivateUrl | None = None
    price: TokenPrice | None = None
    usd_per_hour: Price | None = None
    adapters_dir: Path = Path("tutelage-data/adapters")
    max_context_tokens: Annotated[int, Field(ge=64)] = 2048
    gpu_memory_share: Share | None = None

    @property
    def url(self) -> str:
        """vLLM's address: its load endpoint is private, so the one that we start listens on loopback."""
        return self.base_url or f"http://127.0.0.1:{self.port}"

    @property
    def token_price(self) -> prices.Price:
        """0 where the machine is paid for by the hour."""
        return self.price.per_token if self.price else prices.Price(0.0, 0.0)

    @property
    def engines_url(self) -> str:
        """Where adapters are loaded, on every address of its name."""
        return self.load_url or self.url

    @model_validator(mode="after")
    def _is_paid_for_once(self) -> Self:
        if self.price is None and self.usd_per_hour is None:
            raise ValueError(
                "neither price nor usd_per_hour is set: say what its tokens cost (student.price) or what its machine "
                "does (student.usd_per_hour); 0 where nobody pays for it"
            )
        if self.price and (more := self.price.model_fields_set - {"input_usd_per_mtok", "output_usd_per_mtok"}):
            raise ValueError(
                f"price.{min(more)} is for teachers: vLLM counts a prompt's tokens and an answer's, no others"
            )
        if self.usd_per_hour and self.price and self.price.per_token != prices.Price(0.0, 0.0):
            raise ValueError(
                "price and usd_per_hour both say what a draft costs, and it would be paid for twice: leave out "
                "student.price, or student.usd_per_hour"
            )
        return self

    @model_validator(mode="after")
    def _engines_are_behind_one_name(self) -> Self:
        if self.load_url and not self.base_url:
            raise ValueError("load_url names the engines behind base_url: set that too, or leave it out")
        return self


class Task(Budgeted, Prompted):
    """One narrow job: its teacher, its contract, and when two answers agree.

    measure: exact (after normalisation: case, white space, quotes around it), number (the last number in each), json
    (field by field, numbers and dates by value, nothing in order), judge (`judge`, a name under teachers, says whether
    they say the same; `judge_rubric` tells it what that means for this job); alpha: largest share of student answers
    that may differ from the teacher's; delta: chance that a worse release passes the test; margin: share of alpha that
    a release leaves free where it was tested, for some coverage, so that neither a small drift nor bad luck closes it;
    rho: share of requests that always also get a teacher's answer while a release is in force; alarm_references: B, a
    false alarm within m references has at most probability m / B; probe_every_hours: how often the teacher is asked
    thirty recorded requests again, to notice that another model answers under its name.
    labels: all that an answer may be, for measure exact; another one does not teach. None: anything.
    max_tokens: of a draft at most, and of an answer that has no limit of its own; prefix: for long answers, judge
    drafts by so many first tokens, so that a stream begins before its end (what is certified is the agreement of whole
    answers; only coverage falls). None: by the whole draft.
    A request belongs to the task whose name is its `model` or its header `x-tutelage-task`, or whose teacher and
    `system_prompt` are its model and its system message; `tutelage alias` adds to both.
    """

    teacher: Name
    alpha: Share = 0.05
    delta: Share = 0.05
    margin: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    rho: Share = 0.05
    max_tokens: Annotated[int, Field(ge=1)] = 64
    prefix: Annotated[int, Field(ge=4)] | None = None
    alarm_references: Annotated[float, Field(gt=1.0, allow_inf_nan=False)] = 5000.0
    probe_every_hours: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 24.0
    measure: Measure | Literal["judge"] = "exact"
    judge: Name | None = None
    judge_rubric: str = ""
    labels: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _prefix_is_a_part(self) -> Self:
        if self.prefix is not None and self.prefix >= self.max_tokens:
            raise ValueError(
                f"prefix {self.prefix} is no part of an answer of at most {self.max_tokens} tokens: raise max_tokens "
                "to what answers need, or leave prefix out"
            )
        return self

    @model_validator(mode="after")
    def _labels_are_told_apart(self) -> Self:
        if self.labels is None:
            return self
        if self.measure != "exact":
            raise ValueError(f"labels are for measure: exact, and measure is {self.measure}: leave them out")
        plain = [normalised(label) for label in self.labels]
        if not all(plain):
            raise ValueError(f"labels: {self.labels[plain.index('')]!r} is empty: leave it out")
        if twice := [label for label in self.labels if plain.count(normalised(label)) > 1]:
            raise ValueError(f"labels: {' and '.join(map(repr, twice))} are the same to measure exact: name each once")
        return self

    @model_validator(mode="after")
    def _judge_is_named_where_one_is_asked(self) -> Self:
        if self.measure == "judge" and self.judge is None:
            raise ValueError("measure: judge needs judge: the name under teachers of whom to ask whether answers agree")
        if self.measure != "judge" and (self.judge is not None or self.judge_rubric):
            raise ValueError(f"judge and judge_rubric are for measure: judge, and measure is {self.measure}")
        return self


class Settings(BaseSettings):
    """The whole file. Read it with `load`."""

    model_config = SettingsConfigDict(
        env_prefix="TUTELAGE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    server: Server = Server()
    console: ConsoleSettings = ConsoleSettings()
    ledger: LedgerSettings = LedgerSettings()
    teacher_server: TeacherServer = TeacherServer()
    teachers: dict[Name, TeacherSettings] = Field(min_length=1)
    student: StudentSettings
    tasks: dict[Name, Task] = Field(default_factory=dict)
    distill: DistillSettings = DistillSettings()
    canary: CanarySettings = CanarySettings()

    @model_validator(mode="after")
    def _capacity_is_counted_once(self) -> Self:
        limited = [name for name, each in self.teachers.items() if each.capacity_rpm or each.capacity_tpm]
        if self.server.workers > 1 and limited and not self.server.counts_together:
            raise ValueError(
                f"server.workers: {self.server.workers} processes would each spend the capacity of {limited[0]}: set "
                "server.limits_url to a Redis that they share, or workers to 1"
            )
        return self

    @model_validator(mode="after")
    def _console_is_apart_and_behind_a_key(self) -> Self:
        if self.console.port in (self.server.port, self.server.admin_port):
            raise ValueError(f"console.port {self.console.port} is the gateway's: give it another number")
        if self.console.host not in LOOPBACK and self.server.api_key is None:
            raise ValueError(
                f"console.host {self.console.host} is reachable from outside: set server.api_key "
                "(TUTELAGE_SERVER__API_KEY)"
            )
        return self

    @model_validator(mode="after")
    def _texts_outlive_a_release(self) -> Self:
        keep, age = self.ledger.keep_days, self.distill.max_age_days
        if keep is not None and keep < age:
            raise ValueError(
                f"ledger.keep_days: {keep:g} would take from a release within its max_age_days of {age:g} the answers "
                "that its alarm hears: raise keep_days or lower distill.max_age_days"
            )
        return self

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        for name, task in self.tasks.items():
            if task.teacher not in self.teachers:
                raise ValueError(f"tasks.{name}.teacher: no teacher named {task.teacher!r} under teachers")
            if task.judge is not None and task.judge not in self.teachers:
                raise ValueError(f"tasks.{name}.judge: no teacher named {task.judge!r} under teachers")
            if name in self.teachers:
                raise ValueError(f"tasks.{name}: a teacher has the same name; clients could not tell them apart")
        return self

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917  the signature is pydantic-settings'
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment over the values read from the file (`load` passes them as init values)."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def task(self, name: str) -> Task:
        """Raises ConfigError where the task is not configured."""
        if name not in self.tasks:
            raise ConfigError(f"no task named {name!r} under tasks (known: {', '.join(sorted(self.tasks)) or 'none'})")
        return self.tasks[name]

    def binding(self, task: str) -> dict[str, str]:
        """What a release of the task must have been certified with to be in force (`Release.mismatch`)."""
        chosen, by = self.task(task), self.compares_by(task)
        return {
            "teacher": self.teachers[chosen.teacher].model,
            "base_model": self.student.base_model,
            "measure": chosen.measure,
            "prompt": "any" if chosen.system_prompt is None else fingerprint(chosen.system_prompt),
            "evidence": "whole" if chosen.prefix is None else f"prefix {chosen.prefix}",
            "max_tokens": str(chosen.max_tokens),
            "student_prompt": chosen.student_prompt,
            "code": CODE,
            **(by.binding if isinstance(by, Judge) else {}),
        }

    def compares_by(self, name: str) -> By:
        """How a task's answers are compared: by a rule, or by a judge."""
        task = self.task(name)
        if task.measure != "judge":
            return task.measure
        assert task.judge is not None, "a task with this measure names its judge"
        return Judge(task.judge, self.teachers[task.judge].model, task.judge_rubric)

    @property
    def internal_url(self) -> str:
        """Where our own worker asks."""
        return self.distill.gateway_url or f"http://127.0.0.1:{self.server.admin_port or self.server.port}"

    def redactor(self, engine: sa.Engine) -> Redactor | None:
        """What takes out of records what is personal, where `ledger.redact` asks for it."""
        constants = [task.system_prompt for task in self.tasks.values()]
        return self.ledger.redact.redactor(engine, constants=constants) if self.ledger.redact else None

    def teacher_url(self, name: str) -> str:
        """The OpenAI-compatible base URL (ending in /v1) at which the gateway reaches a teacher."""
        teacher = self.teachers[name]
        if teacher.direct and teacher.base_url:
            return teacher.base_url.rstrip("/")
        return f"http://127.0.0.1:{self.teacher_server.port}/v1"


def load(path: Path) -> Settings:
    """Read and validate the configuration; relative paths in it are relative to the file's folder.

    Raises ConfigError, naming the file and every wrong key.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; `tutelage init` writes one to start from")
    try:
        values = YamlConfigSettingsSource(Settings, yaml_file=path)()
        return _anchored(Settings(**values), path.resolve().parent)
    except ValidationError as error:
        raise ConfigError(f"{path}:\n{_explain(error)}") from error
    except (YAMLError, UnicodeDecodeError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: not a readable YAML mapping: {error}") from error


def _explain(error: ValidationError) -> str:
    """One line a key, without the values: they may be secrets."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        lines.append(f"  {key}: {item['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """The same settings with relative paths made absolute, whatever folder a process is started in."""
    ledger, student = settings.ledger, settings.student
    prefix = "sqlite:///"
    if ledger.url.startswith(prefix) and not ledger.url.startswith(prefix + "/"):
        ledger = ledger.model_copy(update={"url": f"{prefix}{folder / ledger.url.removeprefix(prefix)}"})
    ledger = ledger.model_copy(update={"spool_dir": folder / ledger.spool_dir})
    student = student.model_copy(update={"adapters_dir": folder / student.adapters_dir})
    return settings.model_copy(update={"ledger": ledger, "student": student})
