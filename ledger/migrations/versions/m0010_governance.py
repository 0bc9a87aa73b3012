"""Whether a student may learn from what was asked, by request and by key; why a row was rejected."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for table in ("exchanges", "keys"):
        op.add_column(table, sa.Column("teaches", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("row_uses", sa.Column("reason", sa.String(length=32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("row_uses") as table:
        table.drop_column("reason")
    for name in ("exchanges", "keys"):
        with op.batch_alter_table(name) as table:
            table.drop_column("teaches")
