"""How far each task is from its next release, as the worker publishes it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("rows_needed", sa.Integer(), nullable=False),
        sa.Column("references", sa.Integer(), nullable=False),
        sa.Column("references_needed", sa.Integer(), nullable=False),
        sa.Column("expected_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("task"),
    )


def downgrade() -> None:
    op.drop_table("progress")
