"""What taught a release, for whoever asks whether a request is like it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "familiar",
        sa.Column("release", sa.String(96), primary_key=True),
        sa.Column("lessons", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("familiar")
