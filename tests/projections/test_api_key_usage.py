"""When a key was last used: noted by every process that sees it, and the latest counts."""

from __future__ import annotations

from datetime import timedelta

from projections import api_keys
from tests.projections.recording import NOON, Recorder, everything
from tests.shapes import Shape

SOONER = NOON - timedelta(hours=1)
LATER = NOON + timedelta(hours=1)


def test_the_latest_use_counts_whoever_notes_it_last(shape: Shape) -> None:
    database = shape.core.database
    with database.log_transaction() as connection:
        shape.core.read_models.apply(connection, everything(Recorder(), 3, name="a"))
    for used_at in (
        {"a0-key": NOON, "a1-key": NOON},
        {"a1-key": LATER, "a0-key": SOONER},
        {},
    ):
        with database.transaction() as connection:
            api_keys.note_usage(connection, used_at)
    noted = {key.id: key.last_used_at for key in database.read_now(api_keys.every)}
    assert noted == {"a0-key": NOON, "a1-key": LATER, "a2-key": None}
