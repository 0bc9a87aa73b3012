"""A release under trial: one a task."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    where = sa.text("status = 'canary'")
    op.create_index("one_canary_a_task", "releases", ["task"], unique=True, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index("one_canary_a_task", table_name="releases")
