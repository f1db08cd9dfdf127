"""What every store promises. A test module that subclasses :class:`EventStoreContract` runs it.

It needs the fixtures ``store`` (an empty one), ``applied`` (its read models, an
:class:`~tests.eventstore.building.Applied`), ``database``, ``beside`` (opens one more store on the
same database, as another process would) and ``writer_processes`` (runs
:func:`~tests.eventstore.contract_sharing.append_one_by_one` in that many new processes at once, and
returns their counts).
"""

from __future__ import annotations

from tests.eventstore.contract_appending import AppendingContract
from tests.eventstore.contract_erasing import ErasingContract
from tests.eventstore.contract_reading import ReadingContract
from tests.eventstore.contract_sharing import SharingContract


class EventStoreContract(AppendingContract, ReadingContract, ErasingContract, SharingContract):
    """The whole suite."""
