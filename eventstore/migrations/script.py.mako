"""${message}."""

from __future__ import annotations

from typing import Final

from alembic import op

revision: Final = ${repr(up_revision)}
down_revision: Final = ${repr(down_revision)}


def upgrade() -> None:
    """Say here what changes, and whether it is safe while the version before is serving."""
