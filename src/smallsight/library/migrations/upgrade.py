"""Migrates a database to the newest schema with Alembic.

Separate from ``database`` so that Alembic (a quarter of a second to import) is loaded only when needed.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from smallsight.errors import LibraryDamagedError


def upgrade(connection: sa.Connection, current: str | None) -> None:
    """Run the missing steps on a connection outside any transaction; each step is one transaction.

    Raises LibraryDamagedError when the database was made by a newer version.
    """
    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise LibraryDamagedError(
            f"The library was made by a newer version of Smallsight (schema {current}).",
            hint="upgrade Smallsight, or point SMALLSIGHT_HOME at another folder.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def newest_step() -> str | None:
    """Return the revision of the last step."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
