"""Alembic's environment: runs on the connection that `ledger.database` hands over; leaves logging alone."""

from alembic import context

from ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
