"""How Alembic runs a version: on the connection that it is given."""

from __future__ import annotations

from alembic import context

from services.orchestrator.jobs.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,  # on SQLite too: the driver no longer meddles
)
with context.begin_transaction():
    context.run_migrations()
