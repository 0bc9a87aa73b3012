"""What the references of a release have shown, as the worker publishes it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "live",
        sa.Column("release", sa.String(length=96), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("references", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("alarm", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("release"),
    )


def downgrade() -> None:
    op.drop_table("live")
