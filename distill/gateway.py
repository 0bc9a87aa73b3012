"""The gateway as distillation sees it: one endpoint that drafts as live traffic is drafted."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import httpx
import msgspec

from distill.errors import DistillError
from ledger.records import Draft

BATCH = 32
ANSWERS_AT_ONCE = 8  # of which the gateway asks four at a time: an answer may take two minutes
TIMEOUT_S = 300.0
RETRY_PAUSES_S = (0.0, 3.0, 10.0, 30.0)  # in which a gateway that was killed is back
Request = Mapping[str, Any]
Progress = Callable[[int, int], None]  # done, of so many
T = TypeVar("T")
NO_BUDGET, RESERVED = "InsufficientQuota", "BudgetReserved"
IN_WORDS = {  # errors that do not speak for themselves
    NO_BUDGET: "a budget has no room for what it may cost",
    RESERVED: "what is left of a budget is promised to requests under way",
}


class GatewayUnavailable(DistillError):
    """The gateway cannot draft; the message says what it answered."""


class GatewayAway(GatewayUnavailable):
    """Nobody answers at its address."""


class GatewaySlow(GatewayAway):
    """It was asked, and has not answered in time."""


class Reply(msgspec.Struct, frozen=True):
    """What a teacher says, and takes for it; without a `text` the `error` says why there is none."""

    text: str | None = None
    finish_reason: str | None = None
    usd: float = 0.0
    error: str | None = None


class GatewayClient:
    """Asks for drafts, and for a teacher's answers. `base_url` without /v1.

    `bindings`: by task, the settings that what is asked for is meant for. A gateway that serves under others refuses.
    """

    def __init__(
        self, base_url: str, *, api_key: str | None = None, bindings: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_S)
        self._bindings = bindings or {}
        self._why = ""
        self._errors: list[str] = []  # of the last reply

    @property
    def why(self) -> str:
        """Why something that it was asked for did not come, as it was told last; empty where all came."""
        return self._why

    def drafts(
        self,
        requests: Sequence[Request],
        *,
        release: str,
        task: str,
        progress: Progress,
        revive: Callable[[], None],
    ) -> list[Draft | None]:
        """One draft a request, in order; None where the student gave none, asked several times.

        `revive` is called before a request is asked again: an engine that has started anew knows no adapter. Raises
        GatewayUnavailable, also where the student gives no draft at all any more.
        """
        found: list[Draft | None] = []

        def ask(part: Sequence[Request]) -> list[Draft | None]:
            entries = self._post("drafts", task, {"release": release, "requests": list(part)})
            return [None if "error" in entry else msgspec.convert(entry, Draft) for entry in entries]

        for start in range(0, len(requests), BATCH):
            found += _patiently(ask, requests[start : start + BATCH], revive=revive)
            if not any(found[-BATCH:]):  # the engine is down: a refusal for that would waste the window
                raise GatewayUnavailable(f"{release} drafted nothing {len(found[-BATCH:])} times in a row: {self._why}")
            progress(len(found), len(requests))
        return found

    def answers(
        self, task: str, requests: Sequence[Request], *, origin: str, teacher: str | None = None
    ) -> list[str | None]:
        """What the task's teacher, or the one named, says to each, None where it says nothing.

        Raises GatewayUnavailable.
        """
        found: list[str | None] = []
        for start in range(0, len(requests), ANSWERS_AT_ONCE):
            part = list(requests[start : start + ANSWERS_AT_ONCE])
            entries = self._post("answers", task, {"origin": origin, "teacher": teacher, "requests": part})
            found += [entry.get("text") for entry in entries]
        return found

    def replies(self, task: str, requests: Sequence[Request], *, origin: str) -> list[Reply]:
        """What the task's teacher says to each of a few, at most ANSWERS_AT_ONCE, and what it takes for that.

        Raises GatewayUnavailable.
        """
        entries = self._post("answers", task, {"origin": origin, "requests": list(requests)})
        return msgspec.convert(entries, list[Reply])

    def answers_patiently(
        self, task: str, requests: Sequence[Request], *, origin: str, progress: Progress
    ) -> list[str | None]:
        """As `answers`, and what gets none is asked again several times: one that is lost counts as a disagreement. Not
        where all of them are refused by a budget that is used up: it is a minute later too.

        Raises GatewayUnavailable, also where the teacher says nothing at all any more.
        """
        found: list[str | None] = []
        for start in range(0, len(requests), ANSWERS_AT_ONCE):
            part = requests[start : start + ANSWERS_AT_ONCE]
            ask = partial(self.answers, task, origin=origin)
            found += _patiently(ask, part, in_vain=lambda: set(self._errors) == {NO_BUDGET})
            last = found[-ANSWERS_AT_ONCE:]
            if all(text is None for text in last):
                raise GatewayUnavailable(f"the teacher answered none of {len(last)} requests: {self._why}")
            progress(len(found), len(requests))
        return found

    def _post(self, what: str, task: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        self._errors = []
        order = {**body, "task": task, "binding": dict(self._bindings.get(task, {}))}
        try:
            response = self._http.post(f"/internal/{what}", json=order)
        except httpx.ReadTimeout as error:
            raise GatewaySlow(f"the gateway at {self._http.base_url} gave no {what} in {TIMEOUT_S:.0f} s") from error
        except httpx.HTTPError as error:
            raise GatewayAway(f"the gateway at {self._http.base_url} cannot be reached: {error}") from error
        if response.status_code != 200:
            raise GatewayUnavailable(f"the gateway gives no {what}: HTTP {response.status_code} {response.text[:300]}")
        entries: list[dict[str, Any]] = response.json()[what]
        self._errors = [entry["error"] for entry in entries if "error" in entry]
        self._why = next((IN_WORDS.get(error, error) for error in self._errors), self._why)
        return entries


def _patiently(
    ask: Callable[[Sequence[Request]], list[T | None]],
    requests: Sequence[Request],
    *,
    revive: Callable[[], None] = lambda: None,
    in_vain: Callable[[], bool] = lambda: False,
) -> list[T | None]:
    """What upstreams under load turned away is asked again: a row lost here would count against the student. Not where
    that would be `in_vain`, for what was told last."""
    found: list[T | None] = [None] * len(requests)
    for number, pause_s in enumerate(RETRY_PAUSES_S, 1):
        missing = [i for i, one in enumerate(found) if one is None]
        if not missing or (number > 1 and in_vain()):
            break
        if pause_s:
            time.sleep(pause_s)
            revive()
        try:
            said = ask([requests[i] for i in missing])
        except GatewayAway:
            if number == len(RETRY_PAUSES_S):  # what nobody was asked for is not missing
                raise
            continue
        for i, one in zip(missing, said, strict=True):
            found[i] = one
    return found
