"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_exchanges()
    _create_prices()
    _create_releases()
    _create_row_uses()
    _create_settings()
    _create_spool_offsets()
    _create_teacher_replies()


def _create_exchanges() -> None:
    op.create_table(
        "exchanges",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("prompt_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("eligible", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.Boolean(), nullable=False),
        sa.Column("rho", sa.Float(), nullable=True),
        sa.Column("release", sa.String(length=96), nullable=True),
        sa.Column("draft_text", sa.Text(), nullable=True),
        sa.Column("draft_finish_reason", sa.String(length=32), nullable=True),
        sa.Column("draft_prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("draft_completion_tokens", sa.Integer(), nullable=True),
        sa.Column("draft_cost_usd", sa.Float(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("latency_s", sa.Float(), nullable=False),
        sa.Column("first_byte_s", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("exchanges", schema=None) as batch_op:
        batch_op.create_index("exchanges_by_task", ["task", "at"], unique=False)


def _create_prices() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("input_usd_per_token", sa.Float(), nullable=False),
        sa.Column("output_usd_per_token", sa.Float(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("prices", schema=None) as batch_op:
        batch_op.create_index("prices_by_model", ["model", "at"], unique=False)


def _create_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("name", sa.String(length=96), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("cut_at", sa.Float(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("adapter_path", sa.Text(), nullable=False),
        sa.Column("adapter_digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("calibrator", sa.JSON(), nullable=True),
        sa.Column("certificate", sa.JSON(), nullable=True),
        sa.Column("refusal", sa.JSON(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("task", "number"),
    )
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.create_index(
            "one_champion_a_task",
            ["task"],
            unique=True,
            sqlite_where=sa.text("status = 'champion'"),
            postgresql_where=sa.text("status = 'champion'"),
        )


def _create_row_uses() -> None:
    op.create_table(
        "row_uses",
        sa.Column("exchange_id", sa.String(length=40), nullable=False),
        sa.Column("release", sa.String(length=96), nullable=False),
        sa.Column("use", sa.String(length=16), nullable=False),
        sa.Column("draft_text", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("disagreement", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("exchange_id", "release"),
    )
    with op.batch_alter_table("row_uses", schema=None) as batch_op:
        batch_op.create_index(
            "certifies_once",
            ["exchange_id"],
            unique=True,
            sqlite_where=sa.text("use = 'certify'"),
            postgresql_where=sa.text("use = 'certify'"),
        )


def _create_settings() -> None:
    op.create_table(
        "settings",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def _create_spool_offsets() -> None:
    op.create_table(
        "spool_offsets",
        sa.Column("segment", sa.String(length=128), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment"),
    )


def _create_teacher_replies() -> None:
    op.create_table(
        "teacher_replies",
        sa.Column("exchange_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("background", sa.Boolean(), nullable=False),
        sa.Column("teacher", sa.String(length=128), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("finish_reason", sa.String(length=32), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("latency_s", sa.Float(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("exchange_id"),
    )


def downgrade() -> None:
    for table in ("teacher_replies", "spool_offsets", "settings", "row_uses", "releases", "prices", "exchanges"):
        op.drop_table(table)
