"""The words in which the domain says no.

A domain error is a decision, not an accident: it names what was asked for and what is allowed, in a
sentence that can be shown to the caller as it is. The edges map each class to their own protocol
(``api/errors.py`` for HTTP status codes).
"""

from __future__ import annotations


class DomainError(Exception):
    """A command was refused; ``message`` is a sentence fit to be shown to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidField(DomainError):
    """A value breaks a rule; ``field`` is its name on the wire, ``rule`` says what is allowed."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class NotFound(DomainError):
    """There is no such thing in this account (which of the two is not told)."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind} not found")
        self.kind = kind


class NotAllowed(DomainError):
    """The thing exists, and its present state does not permit the command."""
