"""What a database means to do for a query: its plan, told alike on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event

from eventstore.tables import metadata as log
from projections.api_keys import notes
from projections.projection import metadata

_TABLES = metadata.tables.keys() | log.tables.keys() | notes.tables.keys()
_WORDS = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")


@dataclass(slots=True)
class Plan:
    """``walks`` are tables read from end to end, ``indexes`` those that rows are looked up by."""

    statement: str
    walks: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    sorts: int = 0
    generic: bool = False
    """Whether it is the one for all values."""


Issued = tuple[str, Any]
"""A statement and its parameters, as the driver gets them."""


def issued_by(source: Connection | Engine, act: Callable[[], object]) -> list[Issued]:
    """The statements about rows that ``act`` issues on a connection, or on any of an engine."""
    issued: list[Issued] = []

    def note(*given: Any) -> None:
        if given[2].startswith(_WORDS):
            issued.append((given[2], given[3][0] if given[5] else given[3]))

    event.listen(source, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(source, "before_cursor_execute", note)
    return issued


def plans_of(connection: Connection, issued: Iterable[Issued]) -> list[Plan]:
    """The plans of statements, each of its own; two of each on PostgreSQL."""
    explain = _on_postgres if connection.dialect.name == "postgresql" else _on_sqlite
    return [
        plan
        for statement, parameters in issued
        for plan in explain(connection, statement, parameters)
    ]


def _on_sqlite(connection: Connection, statement: str, parameters: Sequence[Any]) -> Iterator[Plan]:
    plan = Plan(statement)
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
    for step in (row[3] for row in rows):
        if "TEMP B-TREE FOR" in step and "ORDER BY" in step:
            plan.sorts += 1
        elif step.startswith("SEARCH"):
            plan.indexes.add(_sqlite_index(step))
        elif step.startswith("SCAN") and step.split()[1] in _TABLES:
            plan.walks.add(step.split()[1])
    yield plan


def _sqlite_index(step: str) -> str:
    """Keys have names of their own in PostgreSQL; those are given."""
    table = step.split()[1]
    found = re.search(r"INDEX (\w+)", step)
    if found is None:
        return f"{table}_pkey"
    return (
        {
            f"sqlite_autoindex_{table}_1": f"{table}_pkey",
            "sqlite_autoindex_events_1": "events_stream_version",
            "sqlite_autoindex_events_2": "events_event_id",
            "sqlite_autoindex_api_keys_2": "api_keys_key_hash_key",
        }[found[1]]
        if found[1].startswith("sqlite_")
        else found[1]
    )


def _on_postgres(
    connection: Connection, statement: str, parameters: dict[str, Any]
) -> Iterator[Plan]:
    """As a statement that is prepared is planned: for its first values, and once for all values."""
    names: list[str] = []

    def number(mark: re.Match[str]) -> str:
        if mark[1] not in names:
            names.append(mark[1])
        return f"${names.index(mark[1]) + 1}"

    numbered = re.sub(r"%\((\w+)\)s", number, statement)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    values = psycopg.ClientCursor(driver).mogrify(
        ", ".join("%s" for _ in names), [parameters[name] for name in names]
    )
    connection.exec_driver_sql(f"PREPARE planned AS {numbered}")
    for mode in ("force_custom_plan", "force_generic_plan"):
        connection.exec_driver_sql(f"SET plan_cache_mode = {mode}")
        arguments = f"({values})" if names else ""
        told = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE planned{arguments}")
        plan = Plan(f"{mode}: {statement}", generic=mode == "force_generic_plan")
        _read(told.scalar_one()[0]["Plan"], plan, limited=False)
        yield plan
    connection.exec_driver_sql("RESET plan_cache_mode")
    connection.exec_driver_sql("DEALLOCATE planned")


def _read(node: dict[str, Any], plan: Plan, *, limited: bool) -> None:
    kind = node["Node Type"]
    if kind in {"Sort", "Incremental Sort"}:
        plan.sorts += 1
    if kind in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}:
        plan.indexes.add(node["Index Name"])
        if "Index Cond" not in node and not limited:
            plan.walks.add(node.get("Relation Name", node["Index Name"]))
    if kind == "Seq Scan":
        plan.walks.add(node["Relation Name"])
    for each in node.get("Plans", ()):
        _read(each, plan, limited=limited or kind == "Limit")
