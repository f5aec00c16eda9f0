"""Alembic's entry point: runs the steps on the connection that ``database.migrate`` passes in."""

from alembic import context

from smallsight.library.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
