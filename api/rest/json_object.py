"""The body of a request as a JSON object (RFC 8259), or in words what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NoReturn

from api.errors import MalformedRequest, UnsupportedMediaType

_JSON_TYPE = re.compile(r"application/(?:json|[!#$&^_.+a-z0-9-]+\+json)")
_ALLOWED = "must be application/json in UTF-8"


def parse_object(body: bytes) -> dict[str, object]:
    """The fields of the one object that the body is.

    Stricter than the RFC asks for where leniency would hide a mistake: a field that stands there
    twice is refused. Raises :class:`~api.errors.MalformedRequest`.
    """
    try:
        parsed = _DECODER.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise MalformedRequest("the body must be JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise MalformedRequest(f"the body must be JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None
    except ValueError:  # an integer of thousands of digits
        raise MalformedRequest("the body has a number with too many digits") from None
    if not isinstance(parsed, dict):
        raise MalformedRequest("the body must be a JSON object")
    return parsed


def check_media_type(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse what says of itself that it is something else; without a word it is taken for JSON.

    Raises :class:`~api.errors.UnsupportedMediaType`.
    """
    if content_encoding is not None and content_encoding.lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Content-Encoding: must be absent, the body is read as it is")
    if content_type is None:
        return
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if not _JSON_TYPE.fullmatch(media_type):
        raise UnsupportedMediaType(f"Content-Type: {_ALLOWED}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(f"Content-Type: {_ALLOWED}")


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise MalformedRequest(f"{name}: stands there twice")
        fields[name] = value
    return fields


def _refuse_constant(constant: str) -> NoReturn:
    raise MalformedRequest(f"the body must be JSON: {constant} is not")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
