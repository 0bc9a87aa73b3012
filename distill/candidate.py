"""An adapter under a name of its own on its way to being judged: trained, loaded, probed, drafting as it would serve.

Knows no ledger and no certificate: what its drafts are worth is for whoever asks for them.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from distill.adapters import AdapterError, AdapterServer, EngineDown, check_compatible
from distill.best import TrainProgress
from distill.errors import DistillError
from distill.gateway import GatewayClient
from distill.lessons import Lessons
from distill.probe import Probe, probe
from distill.recital import MESSAGES, load_heard, note
from distill.render import Chat, Unspeakable, as_said, render_prompt, takes
from distill.rows import TrainingRow
from distill.student import load_chat
from distill.train import TrainConfig, TrainReport, train
from ledger.records import Draft

ROOM_BYTES = 1 << 30  # on the disk of the adapters: what training writes, and what the ledger and the spools go on with
ENGINE_PATIENCE_S = 300.0  # an engine that was killed is started again, and minutes of training are not thrown away
log = logging.getLogger(__name__)


class DiskFull(DistillError):
    """No room for another adapter; minutes of training would be lost at their end."""


class Unreadable(DistillError):
    """The engine would refuse most of a task's requests: whatever was trained could not be judged. Nothing was."""


class Progress(Protocol):
    """What a run tells whoever watches: a step in words, and how far a long one is."""

    def step(self, words: str) -> None:
        """A step begins, or has a result."""
        ...

    def advance(self, done: int, total: int, *, eta_s: float | None = None) -> None:
        """The present step is at `done` of `total`."""
        ...


def check_room(folder: Path) -> None:
    """Raises DiskFull where another adapter would not fit into the folder; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < ROOM_BYTES:
        raise DiskFull(f"{folder}: {free >> 20} MiB are free, {ROOM_BYTES >> 20} are wanted for a run: make room")


def check_rank(server: AdapterServer, folder: Path, *, rank: int) -> None:
    """Raises AdapterError where an engine takes no adapter of this rank, which else is known once it is trained. One
    that is away is not waited for."""
    with suppress(EngineDown):
        for engine in server.engines():
            if most := engine.most_rank(rank, scratch=folder):
                raise AdapterError(
                    f"vLLM at {engine.url} takes adapters of rank {most} at most, and a run asks for {rank}: start it "
                    f"with a --max-lora-rank of {rank} or more, or lower distill.rank (or also_try) to {most}"
                )


def check_readable(config: TrainConfig, rows: Sequence[TrainingRow], *, answer: int) -> None:
    """Raises Unreadable where a student of the base model could be asked less than half of the rows: an `answer` of so
    many tokens, or of those that a request allows, does not fit behind its prompt, or the chat template does not take
    it."""
    chat = load_chat(config.base_model, unsaid=config.unsaid)
    found = Counter(_unread(chat, row, context=config.max_tokens, answer=answer) for row in rows)
    if 2 * found[None] >= len(rows):
        return
    raise Unreadable(
        f"the student could be asked {found[None]} of {len(rows)} recent requests: "
        + "; ".join(f"{count} {why}" for why, count in found.most_common() if why)
        + ". Nothing was trained"
    )


def _unread(chat: Chat, row: TrainingRow, *, context: int, answer: int) -> str | None:
    try:
        prompt = render_prompt(chat, row.messages)
    except Unspeakable:
        return "are not taken by the chat template of student.base_model, so another base model is needed"
    asked = row.params.get("max_completion_tokens") or row.params.get("max_tokens") or answer
    if len(prompt) + min(asked, answer) <= context:
        return None
    return f"do not fit, with room for an answer, into the {context} tokens of student.max_context_tokens: raise it"


def keep_recital(server: AdapterServer, name: str, *, path: Path, config: TrainConfig) -> None:
    """Note beside the adapter how it goes on from a fixed text, now that it is served. Raises AdapterError."""
    chat = load_chat(config.base_model)
    tokens = render_prompt(chat, MESSAGES if takes(chat, MESSAGES) else MESSAGES[:1])
    note(server, name, path, tokens=tokens[: config.max_tokens - 1])


@dataclass(frozen=True)
class Candidate:
    """The adapter in the folder `path`, served under `name`; `max_tokens` bounds an answer of the task."""

    name: str
    task: str
    path: Path
    config: TrainConfig
    max_tokens: int
    server: AdapterServer
    gateway: GatewayClient
    progress: Progress

    def train(self, lessons: Lessons) -> TrainReport:
        """Make the folder. Raises TrainError."""
        on = f", on {self.config.devices} GPUs" if self.config.devices > 1 else ""
        self.progress.step(f"training {self.name} on {len(lessons.train)} rows, {self.config.epochs} epochs{on}")

        def show(at: TrainProgress) -> None:
            if at.of == "pairs" and (at.step == 1 or at.goes_on):
                self.progress.step(f"learning from {len(lessons.pairs)} pairs of answers")
            if at.goes_on:
                self.progress.step(f"goes on after step {at.went_on} of {at.steps} of a training that was interrupted")
            self.progress.advance(at.step, at.steps, eta_s=at.eta_s)

        trained = train(
            lessons.train,
            lessons.validate,
            config=replace(self.config, start=lessons.goes_on.adapter if lessons.goes_on else None),
            out=self.path,
            progress=show,
            pairs=lessons.pairs,
        )
        self.progress.step(f"trained in {trained.seconds:.0f} s, {trained.rows_per_second:.1f} rows/s")
        for told in (trained.reasoned, trained.preferred):
            if told:
                self.progress.step(told.in_words())
        return trained

    def load(self, prompts: Sequence[Sequence[Mapping[str, Any]]]) -> Probe:
        """Put it on every engine and see that each serves it. Raises AdapterError."""
        check_compatible(self.path, base_model=self.config.base_model)
        self.server.load(self.name, self.path, patience_s=ENGINE_PATIENCE_S)
        found = probe(
            self.server,
            self.name,
            [as_said(messages, unsaid=self.config.unsaid) for messages in prompts],
            base_model=self.config.base_model,
            adapter=self.path,
            max_tokens=self.max_tokens,
        )
        keep_recital(self.server, self.name, path=self.path, config=self.config)
        self.progress.step(
            f"loaded on vLLM and probed: {found.to_adapter:.3f} nats a token from transformers + peft, "
            f"{found.to_base:.2f} from the base model"
        )
        return found

    def drafts(self, requests: Sequence[Mapping[str, Any]]) -> list[Draft | None]:
        """One draft a request, through the gateway, as live traffic is drafted. Raises GatewayUnavailable."""
        return self.gateway.drafts(
            requests,
            release=self.name,
            task=self.task,
            progress=self.progress.advance,
            revive=self._ensure_loaded,
        )

    def base_drafts(self, requests: Sequence[Mapping[str, Any]]) -> list[Draft | None]:
        """As `drafts`, of the base model without an adapter."""
        return self.gateway.drafts(
            requests,
            release=self.server.base(),
            task=self.task,
            progress=self.progress.advance,
            revive=lambda: None,
        )

    def unload(self) -> None:
        """A refused candidate leaves the engine; the engine may be what failed."""
        try:
            self.server.unload(self.name)
        except AdapterError as error:
            log.warning("%s stays loaded: %s", self.name, error)
        except Exception as error:  # noqa: BLE001  cleaning up after a failure must not hide it
            log.warning("%s stays loaded: %s", self.name, type(error).__name__)

    def _ensure_loaded(self) -> None:
        """An engine that was started again knows no adapter. What it loads is heard before it drafts."""
        load_heard(self.server, self.name, self.path, patience_s=ENGINE_PATIENCE_S)
