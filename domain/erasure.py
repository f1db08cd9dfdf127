"""The end of an erasure. Stream ``erasure-<subject>``.

Deleting a job or a project records its deletion and seals it; its payloads are then erased piece by
piece. What is left to say afterwards is that nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


def stream(subject: str) -> str:
    """The name of the stream that tells of the subject's erasure."""
    return f"erasure-{subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureCompleted:
    """Every payload and secret of the subject is gone."""

    erased_at: datetime
