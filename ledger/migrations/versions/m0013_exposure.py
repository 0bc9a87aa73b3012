"""What would pass before the alarm, published with what the references say."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("live", sa.Column("exposure", sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("live") as table:
        table.drop_column("exposure")
