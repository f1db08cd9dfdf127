"""Given past events, when a command is called, then it answers with events, or refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, TypeVar

from domain.errors import DomainError

S = TypeVar("S")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Decider(Generic[S, E]):
    """A kind of stream: how its state begins, and what an event makes of it."""

    initial: S
    evolve: Callable[[S, E], S]

    def given(self, *past: E) -> Given[S, E]:
        return Given(reduce(self.evolve, past, self.initial), self.evolve)


@dataclass(frozen=True, slots=True)
class Given(Generic[S, E]):
    """The state that the past led to."""

    state: S
    evolve: Callable[[S, E], S]

    def when(self, command: Callable[..., tuple[E, ...]], **arguments: Any) -> Answer[S, E]:
        try:
            return Answer(self, command(self.state, **arguments), None)
        except DomainError as refusal:
            return Answer(self, (), refusal)


@dataclass(frozen=True, slots=True)
class Answer(Generic[S, E]):
    """What the command said."""

    asked: Given[S, E]
    events: tuple[E, ...]
    refusal: DomainError | None

    def then(self, *expected: E) -> Given[S, E]:
        """It answered with exactly these events; goes on from the state after them."""
        assert self.refusal is None
        assert self.events == expected
        return Given(
            reduce(self.asked.evolve, expected, self.asked.state),
            self.asked.evolve,
        )

    def then_nothing(self) -> Given[S, E]:
        return self.then()

    def then_refused(self, because: type[DomainError], *said: str) -> None:
        """It refused, in a sentence that contains every part of what was ``said``."""
        assert type(self.refusal) is because
        for part in said:
            assert part in self.refusal.message
