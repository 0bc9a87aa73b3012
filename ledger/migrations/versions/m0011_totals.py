"""Sums by hour, and what they are of; tokens of a prompt that a provider has read before, and what these cost."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

COUNTS = (
    "requests",
    "student_answers",
    "draft_prompt_tokens",
    "draft_completion_tokens",
    "teacher_prompt_tokens",
    "teacher_cached_tokens",
    "teacher_completion_tokens",
    "answer_tokens",
    "pairs",
)
AMOUNTS = (
    "paid_usd",
    "label_usd",
    "draft_usd",
    "near_x",
    "near_y",
    "pair_x",
    "pair_y",
    "pair_xx",
    "pair_xy",
    "pair_yy",
)
# What is in the ledger already, in the order of the columns; {hour} is its hour, or -1 for all time.
FILL = """
INSERT INTO totals (hour, task, release, key, origin, {columns})
SELECT {hour}, coalesce(e.task, ''), coalesce(e.release, ''), coalesce(e.key, ''), e.origin,
  count(*),
  sum(CASE WHEN {answered} THEN 1 ELSE 0 END),
  sum(coalesce(e.draft_prompt_tokens, 0)),
  sum(coalesce(e.draft_completion_tokens, 0)),
  sum(coalesce(r.prompt_tokens, 0)),
  0,
  sum(coalesce(r.completion_tokens, 0)),
  sum(CASE WHEN {answered} THEN {x} ELSE 0 END),
  sum(CASE WHEN {pair} THEN 1 ELSE 0 END),
  sum(CASE WHEN r.background = {no} THEN r.cost_usd ELSE 0 END),
  sum(CASE WHEN r.background = {yes} THEN r.cost_usd ELSE 0 END),
  sum(coalesce(e.draft_cost_usd, 0)),
  sum(CASE WHEN {near} THEN {x} ELSE 0 END),
  sum(CASE WHEN {near} THEN r.cost_usd ELSE 0 END),
  sum(CASE WHEN {pair} THEN {x} ELSE 0 END),
  sum(CASE WHEN {pair} THEN r.cost_usd ELSE 0 END),
  sum(CASE WHEN {pair} THEN 1.0 * {x} * {x} ELSE 0 END),
  sum(CASE WHEN {pair} THEN {x} * r.cost_usd ELSE 0 END),
  sum(CASE WHEN {pair} THEN r.cost_usd * r.cost_usd ELSE 0 END)
FROM exchanges e LEFT JOIN teacher_replies r ON r.exchange_id = e.id
WHERE e.origin <> 'import'
GROUP BY 1, 2, 3, 4, 5
"""


def upgrade() -> None:
    op.add_column("teacher_replies", sa.Column("cached_tokens", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("prices", sa.Column("cached_usd_per_token", sa.Float(), nullable=True))
    op.create_table(
        "totals",
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=96), nullable=False),
        sa.Column("key", sa.String(length=24), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in COUNTS),
        *(sa.Column(name, sa.Double(), nullable=False, server_default="0") for name in AMOUNTS),
        sa.PrimaryKeyConstraint("hour", "task", "release", "key", "origin"),
    )
    op.create_index("totals_by_task", "totals", ["task", "hour"])
    postgres = op.get_bind().dialect.name == "postgresql"
    hour = "floor(e.at / 3600)::bigint * 3600" if postgres else "CAST(e.at / 3600 AS INTEGER) * 3600"
    words = {
        "columns": ", ".join((*COUNTS, *AMOUNTS)),
        "answered": "e.route = 'student'",
        "x": "(coalesce(e.draft_prompt_tokens, 0) + coalesce(e.draft_completion_tokens, 0))",
        "yes": "true" if postgres else "1",
        "no": "false" if postgres else "0",
    }
    text = "(r.text IS NOT NULL OR r.error = 'forgotten')"  # what is forgotten was an answer, and was paid for
    words["pair"] = f"e.route = 'student' AND r.background = {words['yes']} AND {text}"
    words["near"] = f"r.background = {words['no']} AND {text} AND e.draft_prompt_tokens IS NOT NULL"
    for when in (hour, "-1"):
        op.execute(FILL.format(hour=when, **words))


def downgrade() -> None:
    op.drop_table("totals")
    with op.batch_alter_table("prices") as table:
        table.drop_column("cached_usd_per_token")
    with op.batch_alter_table("teacher_replies") as table:
        table.drop_column("cached_tokens")
