"""The gateway as distillation sees it: one endpoint that drafts as live traffic is drafted."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from distill.errors import DistillError
from ledger.records import Draft

BATCH = 32
TIMEOUT_S = 300.0
RETRY_PAUSES_S = (0.0, 3.0, 10.0, 30.0)  # in which a gateway that was killed is back


Progress = Callable[[int, int], None]  # done, of so many


def _silent(_: int, __: int) -> None:
    """For those whom nobody watches."""


class GatewayUnavailable(DistillError):
    """The gateway cannot draft; the message says what it answered."""


class GatewayAway(GatewayUnavailable):
    """Nobody answers at its address."""


class GatewayClient:
    """Asks for drafts, and for a teacher's answers. `base_url` without /v1."""

    def __init__(self, base_url: str, *, api_key: str | None = None) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_S)
        self._why = ""

    def drafts(
        self,
        requests: Sequence[Mapping[str, Any]],
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
        for start in range(0, len(requests), BATCH):
            batch = [dict(request) for request in requests[start : start + BATCH]]
            found += self._batch(batch, {"release": release, "task": task}, revive)
            if not any(found[-BATCH:]):  # the engine is down: a refusal for that would waste the window
                raise GatewayUnavailable(f"{release} drafted nothing {len(found[-BATCH:])} times in a row: {self._why}")
            progress(len(found), len(requests))
        return found

    def answers(
        self,
        task: str,
        requests: Sequence[Mapping[str, Any]],
        *,
        origin: str,
        teacher: str | None = None,
        progress: Progress = _silent,
    ) -> list[str | None]:
        """What the task's teacher, or the one named, says to each, None where it says nothing.

        Raises GatewayUnavailable, also where the teacher says nothing at all any more.
        """
        found: list[str | None] = []
        for start in range(0, len(requests), BATCH):
            batch = list(requests[start : start + BATCH])
            order = {"task": task, "origin": origin, "teacher": teacher, "requests": batch}
            entries = self._post("answers", order)
            if all("error" in entry for entry in entries):
                raise GatewayUnavailable(f"the teacher answered none of {len(entries)}: {entries[0]['error']}")
            found += [entry.get("text") for entry in entries]
            progress(len(found), len(requests))
        return found

    def _batch(
        self, requests: list[dict[str, Any]], order: Mapping[str, str], revive: Callable[[], None]
    ) -> list[Draft | None]:
        """What an engine under load turned away is asked again: a row lost here would count against the student."""
        found: list[Draft | None] = [None] * len(requests)
        for number, pause_s in enumerate(RETRY_PAUSES_S, 1):
            missing = [i for i, draft in enumerate(found) if draft is None]
            if not missing:
                break
            if pause_s:
                time.sleep(pause_s)
                revive()
            try:
                entries = self._post("drafts", {**order, "requests": [requests[i] for i in missing]})
            except GatewayAway:
                if number == len(RETRY_PAUSES_S):  # what nobody was asked for is no missing draft
                    raise
                continue
            for i, entry in zip(missing, entries, strict=True):
                if "error" in entry:
                    self._why = entry["error"]
                else:
                    found[i] = msgspec.convert(entry, Draft)
        return found

    def _post(self, what: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            response = self._http.post(f"/internal/{what}", json=body)
        except httpx.HTTPError as error:
            raise GatewayAway(f"the gateway at {self._http.base_url} cannot be reached: {error}") from error
        if response.status_code != 200:
            raise GatewayUnavailable(f"the gateway gives no {what}: HTTP {response.status_code} {response.text[:300]}")
        entries: list[dict[str, Any]] = response.json()[what]
        return entries
