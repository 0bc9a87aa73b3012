"""The gateway as distillation sees it: one endpoint that drafts as live traffic is drafted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from distill.errors import DistillError
from ledger.records import Draft

BATCH = 32
TIMEOUT_S = 300.0


class GatewayUnavailable(DistillError):
    """The gateway cannot draft; the message says what it answered."""


class GatewayClient:
    """Asks for drafts. `base_url` without /v1."""

    def __init__(self, base_url: str, *, api_key: str | None = None) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_S)

    def drafts(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        release: str,
        task: str,
        progress: Callable[[int, int], None],
    ) -> list[Draft | None]:
        """One draft a request, in order; None where the student gave none. Raises GatewayUnavailable."""
        found: list[Draft | None] = []
        for start in range(0, len(requests), BATCH):
            batch = [dict(request) for request in requests[start : start + BATCH]]
            found += [_draft(entry) for entry in self._post({"release": release, "task": task, "requests": batch})]
            progress(len(found), len(requests))
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


def _draft(entry: dict[str, Any]) -> Draft | None:
    return None if "error" in entry else msgspec.convert(entry, Draft)
