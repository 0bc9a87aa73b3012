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
RETRY_PAUSES_S = (0.0, 3.0, 10.0)


class GatewayUnavailable(DistillError):
    """The gateway cannot draft; the message says what it answered."""


class GatewayClient:
    """Asks for drafts. `base_url` without /v1."""

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
        progress: Callable[[int, int], None],
    ) -> list[Draft | None]:
        """One draft a request, in order; None where the student gave none, asked several times.

        Raises GatewayUnavailable, also where the student gives no draft at all any more.
        """
        found: list[Draft | None] = []
        for start in range(0, len(requests), BATCH):
            found += self._batch([dict(request) for request in requests[start : start + BATCH]], release, task)
            if not any(found[-BATCH:]):  # the engine is down: a refusal for that would waste the window
                raise GatewayUnavailable(f"{release} drafted nothing {len(found[-BATCH:])} times in a row: {self._why}")
            progress(len(found), len(requests))
        return found

    def _batch(self, requests: list[dict[str, Any]], release: str, task: str) -> list[Draft | None]:
        """What an engine under load turned away is asked again: a row lost here would count against the student."""
        found: list[Draft | None] = [None] * len(requests)
        for pause_s in RETRY_PAUSES_S:
            time.sleep(pause_s)
            missing = [i for i, draft in enumerate(found) if draft is None]
            if not missing:
                break
            order = {"release": release, "task": task, "requests": [requests[i] for i in missing]}
            for i, entry in zip(missing, self._post(order), strict=True):
                if "error" in entry:
                    self._why = entry["error"]
                else:
                    found[i] = msgspec.convert(entry, Draft)
        return found

    def _post(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            response = self._http.post("/internal/drafts", json=body)
        except httpx.HTTPError as error:
            raise GatewayUnavailable(f"the gateway at {self._http.base_url} cannot be reached: {error}") from error
        if response.status_code != 200:
            raise GatewayUnavailable(f"the gateway refused to draft: HTTP {response.status_code} {response.text[:300]}")
        drafts: list[dict[str, Any]] = response.json()["drafts"]
        return drafts
