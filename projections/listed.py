"""Conditions on a list of ids that is one parameter, so that a statement's text doesn't depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import msgspec
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    String,
    TypeDecorator,
    bindparam,
    func,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine


def among(column: Column[str], parameter: str) -> ColumnElement[bool]:
    """Whether the column has one of the ids that the parameter of this name lists."""
    return _Among(column, bindparam(parameter, type_=_Ids))


class _Ids(TypeDecorator[Sequence[str]]):
    """A list of ids: an array on PostgreSQL, a JSON text on SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(String) if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> object:
        if value is None:
            raise ValueError("a list of ids is missing")
        return list(value) if dialect.name == "postgresql" else msgspec.json.encode(value).decode()


class _Among(FunctionElement[bool]):
    name: Final = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:
        """As it is: compared with 1, as SQLite's booleans are elsewhere, it would use no index."""
        return self


@compiles(_Among, "postgresql")
def _in_array(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = element.clauses
    return compiler.process(column == func.any(ids), **options)


@compiles(_Among, "sqlite")
def _in_json(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = element.clauses
    listed = func.json_each(ids).table_valued("value", name="listed")
    return compiler.process(column.in_(select(listed.c.value)), **options)
