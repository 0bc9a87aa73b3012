"""Tokens of several kinds, and what each of them costs."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KINDS = ("cache_write_tokens", "audio_prompt_tokens", "audio_completion_tokens", "reasoning_tokens")


def upgrade() -> None:
    for name in KINDS:
        op.add_column("teacher_replies", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("prices", sa.Column("kinds", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("prices") as table:
        table.drop_column("kinds")
    with op.batch_alter_table("teacher_replies") as table:
        for name in KINDS:
            table.drop_column(name)
