"""Exchanges numbered in the order in which they were recorded: what follows them passes over none."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

NUMBERED = """
    UPDATE exchanges SET seq = numbered.seq
    FROM (SELECT id, row_number() OVER (ORDER BY at, id) AS seq FROM exchanges) AS numbered
    WHERE numbered.id = exchanges.id
"""


def upgrade() -> None:
    op.drop_index("exchanges_by_release", "exchanges")
    with op.batch_alter_table("exchanges") as table:
        table.add_column(sa.Column("seq", sa.BigInteger(), nullable=True))
    op.execute(NUMBERED)
    with op.batch_alter_table("exchanges") as table:
        table.alter_column("seq", existing_type=sa.BigInteger(), nullable=False)
    op.create_index("exchanges_by_seq", "exchanges", ["seq"], unique=True)
    op.create_index("exchanges_by_release", "exchanges", ["release", "seq"])


def downgrade() -> None:
    op.drop_index("exchanges_by_release", "exchanges")
    op.drop_index("exchanges_by_seq", "exchanges")
    with op.batch_alter_table("exchanges") as table:
        table.drop_column("seq")
    op.create_index("exchanges_by_release", "exchanges", ["release", "at"])
