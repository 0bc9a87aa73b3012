"""Whether a student may learn from what was asked; why a row was rejected; what people say of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for table in ("exchanges", "keys"):
        op.add_column(table, sa.Column("teaches", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("row_uses", sa.Column("reason", sa.String(length=32), nullable=True))
    op.create_table(
        "feedback",
        sa.Column("exchange_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("key", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("exchange_id"),
    )


def downgrade() -> None:
    op.drop_table("feedback")
    with op.batch_alter_table("row_uses") as table:
        table.drop_column("reason")
    for name in ("exchanges", "keys"):
        with op.batch_alter_table(name) as table:
            table.drop_column("teaches")
