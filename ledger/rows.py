"""How a record of the spool becomes rows of the tables."""

from typing import Any

import msgspec

from ledger.records import Draft, Exchange, TeacherReply
from ledger.schema import exchanges
from ledger.token_logprobs import packed

EXCHANGE_COLUMNS = [name for name in Exchange.__struct_fields__ if name in exchanges.columns]


def exchange_row(exchange: Exchange) -> dict[str, Any]:
    """A row of `exchanges`; its teacher's reply is a row of its own."""
    row = {name: getattr(exchange, name) for name in EXCHANGE_COLUMNS}
    return row | _draft_columns(exchange.draft)


def reply_row(exchange_id: str, at: float, reply: TeacherReply, *, background: bool) -> dict[str, Any]:
    """A row of `teacher_replies`; `background` where the client did not wait for it."""
    return {
        "exchange_id": exchange_id,
        "at": at,
        "background": background,
        "teacher": reply.teacher,
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        **msgspec.structs.asdict(reply.usage),
        "cost_usd": reply.cost_usd,
        "latency_s": reply.latency_s,
        "error": reply.error,
        "rationale": reply.rationale,
        "logprobs": packed(reply.logprobs),
    }


def _draft_columns(draft: Draft | None) -> dict[str, Any]:
    return {
        "draft_text": draft.text if draft else None,
        "draft_finish_reason": draft.finish_reason if draft else None,
        "draft_prompt_tokens": draft.usage.prompt_tokens if draft else None,
        "draft_completion_tokens": draft.usage.completion_tokens if draft else None,
        "draft_cost_usd": draft.cost_usd if draft else None,
        "evidence": draft.evidence if draft else None,
    }
