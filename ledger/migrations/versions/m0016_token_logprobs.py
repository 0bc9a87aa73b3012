"""What a teacher has said of the tokens of its answer."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("teacher_replies", sa.Column("logprobs", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("teacher_replies") as table:
        table.drop_column("logprobs")
