"""Requests that a teacher is asked again, to notice that it has changed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "probe_questions",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("teacher", sa.String(length=128), nullable=False),
        sa.Column("exchange_id", sa.String(length=40), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task", "teacher", "exchange_id"),
    )
    op.create_table(
        "probe_rounds",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("teacher", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("task", "teacher", "at"),
    )


def downgrade() -> None:
    op.drop_table("probe_rounds")
    op.drop_table("probe_questions")
