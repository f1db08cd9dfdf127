"""What the documentation promises, above all the README's tour.

The tour is run as a reader runs it: in a shell, against a real ``cronpulse serve``. Every block of
commands in it is run in order, and what it prints must be what the README shows, apart from what
differs each time: ids, keys, times, durations and the port. Of the other pages, what could drift
away from the code is held against it.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess, Popen, run

import pytest

from api.commands import jobs
from api.metrics import Metrics
from domain.codec import EVENT_TYPES
from domain.job_fields import JobSettings
from eventstore import hashing
from tests.jobs import a_job
from tests.live.service import LiveService, environment
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, embedded

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
README = (ROOT / "README.md").read_text(encoding="utf-8")
AUDIT = (DOCS / "audit.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
TOUR = README.partition("\n## A tour")[2].partition("\n## ")[0]
ADDRESS = "http://127.0.0.1:8000"
PROGRAMS = Path(sys.executable).parent
END = "--- end of a block ---"
PATIENCE = 20.0
"""Seconds after which "a moment later" has certainly come."""

_BLOCK = re.compile(
    r"^```(sh|python)\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
_CHANGES_SOMETHING = re.compile(r"-X|-d |/api/ping/|keys create")
_DIFFERS_EACH_TIME = (
    (re.compile(r"cpk_[A-Za-z0-9]{39}"), "<key>"),
    (re.compile(r"\b[ce][a-z0-9]{25}(?:[a-z0-9]{8})?\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
    (re.compile(r'(?<="durationMs": )\d+'), "<number>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Commands that the README tells to run, and what it shows as their output."""

    language: str
    commands: str
    shown: str

    @property
    def only_looks(self) -> bool:
        """Whether a reader may run it again, because its moment has not come yet."""
        return self.language == "sh" and not _CHANGES_SOMETHING.search(self.commands)


class Terminal:
    """A shell that is given one block after the other, and keeps its variables between them."""

    def __init__(self, service: LiveService) -> None:
        self._service = service
        self.errors = service.errors
        self._environment = environment(service.data_dir) | {
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUTF8": "1",
            "no_proxy": "*",
        }
        self._shell = Popen(
            ["sh"],
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=self._environment,
            cwd=service.data_dir.parent,
            encoding="utf-8",
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.communicate()

    def run(self, block: Block) -> str:
        """What the block prints, errors included, with the reader's own address and key in it."""
        commands = block.commands.replace(ADDRESS, self._service.url)
        if block.language == "python":
            return self._run_python(commands)
        commands = re.sub(r"^KEY=.*$", f"KEY={self._service.key}", commands, flags=re.MULTILINE)
        return self._type(commands.replace(".venv/bin/", f"{PROGRAMS}/"))

    def _type(self, commands: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{commands}\necho; echo '{END}'\n")
        self._shell.stdin.flush()
        lines = iter(self._shell.stdout.readline, "")
        return "".join(takewhile(lambda line: line.rstrip("\n") != END, lines)).strip("\n")

    def _run_python(self, script: str) -> str:
        script = re.sub(r"\bc[a-z0-9]{25}\b", self._type('echo "$BACKUP"'), script)
        done = run(
            [sys.executable, "-c", script],
            stdout=PIPE,
            stderr=STDOUT,
            env=self._environment,
            encoding="utf-8",
            check=False,
        )
        return done.stdout.strip("\n")


def blocks() -> list[Block]:
    return [
        Block(language=language, commands=commands.strip(), shown=shown.strip("\n"))
        for language, commands, shown in _BLOCK.findall(TOUR)
    ]


def started_by(block: Block, data_dir: Path) -> LiveService:
    """The service with the settings of the README's first block, and no others."""
    *settings, make, target = shlex.split(block.commands)
    assert (make, target) == ("make", "run")
    given = dict(setting.removeprefix("CRONPULSE_").split("=", 1) for setting in settings)
    own = {name.lower(): value for name, value in given.items()}
    return LiveService(data_dir, **{"allowed_networks": "", **own})


def alike(text: str) -> str:
    for pattern, stand_in in _DIFFERS_EACH_TIME:
        text = pattern.sub(stand_in, text)
    return text.strip()


def follow(tour: list[Block], terminal: Terminal) -> None:
    """Run the blocks in order; where one only looks, look again until it shows what it should."""
    pause = threading.Event()
    for block in tour:
        until = time.monotonic() + PATIENCE
        seen = terminal.run(block)
        while block.only_looks and alike(seen) != alike(block.shown) and time.monotonic() < until:
            pause.wait(0.1)
            seen = terminal.run(block)
        assert alike(seen) == alike(block.shown), f"{block.commands}\n{terminal.errors.read_text()}"


def test_the_tour_runs_as_it_is_told(tmp_path: Path) -> None:
    start, *tour = blocks()
    with started_by(start, tmp_path / "data").ready() as service:
        assert alike(service.printed) == alike(start.shown)
        with Terminal(service) as terminal:
            follow(tour, terminal)
        assert service.stop(signal.SIGINT) == 0


def test_only_blocks_that_set_something_up_show_no_output() -> None:
    silent = [block.commands for block in blocks() if not block.shown]
    assert len(silent) < len(blocks()) / 3
    assert all(commands.startswith(("URL=", "BACKUP=$(api")) for commands in silent)


# ---- the other pages


def targets_of(page: Path) -> Iterator[str]:
    """Where a page's links lead, other sites left out."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" not in target:
            yield target


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in targets_of(page):
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), target
        assert not anchor or anchor in anchors_of(goal), target


def test_every_page_is_in_the_index() -> None:
    linked = {
        (DOCS / target.partition("#")[0]).resolve() for target in targets_of(DOCS / "README.md")
    }
    assert {page for page in DOCS.rglob("*.md") if page.name != "README.md"} <= linked


def test_every_event_type_is_documented_with_its_fields() -> None:
    section = AUDIT.partition("## Event types")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?)\|", section, re.MULTILINE)
    documented = {name: tuple(re.findall(r"`(\w+)`", names)) for name, names in rows}
    assert documented == {
        name: tuple(field.name for field in fields(known.event_class))
        for name, known in EVENT_TYPES.items()
    }
    settings = re.findall(r"`(\w+)`", section.partition("`settings` holds")[2].partition(". Of")[0])
    assert settings == [field.name for field in fields(JobSettings)]


def test_every_metric_is_documented_with_its_kind() -> None:
    exposed, _ = Metrics().render()
    measured = set(re.findall(r"^# TYPE (cronpulse_\w+) (\w+)$", exposed.decode(), re.MULTILINE))
    documented = re.findall(r"^\| `(cronpulse_\w+)` \| (\w+) \|", OPERATIONS, re.MULTILINE)
    assert len(documented) == len(measured)
    assert set(documented) == measured


def test_the_rule_of_the_hash_chain_is_the_one_in_the_code() -> None:
    section = AUDIT.partition("## The hash chain")[2]
    documented = re.findall(r"^\d\. (.+)$", section.partition("**What it")[0], re.MULTILINE)
    assert len(documented) == 4
    told = " ".join((hashing.__doc__ or "").replace("``", "`").split())
    assert all(step in told for step in documented)


def verified(database: Path, *kept_head: str) -> CompletedProcess[str]:
    """What the verifier in ``docs/audit.md`` says of a log."""
    section = AUDIT.partition("## Verify it yourself")[2]
    script = section.partition("```python\n")[2].partition("```")[0]
    return run(
        [sys.executable, "-c", script, database, *kept_head],
        capture_output=True,
        text=True,
        check=False,
    )


async def a_log(directory: Path) -> tuple[Path, int, str]:
    """A database with an erased job in it, where its log ends, and the head of its chain."""
    with embedded(directory) as shape:
        await a_job(shape)
        gone = await a_job(shape)
        await jobs.delete(shape.service, CALLER, gone)
        await Play(shape, Receiver()).eraser.step()
        head = shape.core.store.head()
    return directory / "cronpulse.db", head.position, head.chain_hash.hex()


async def test_the_documented_verifier_accepts_a_log_with_erasures(tmp_path: Path) -> None:
    database, position, chain_hash = await a_log(tmp_path)
    verdict = verified(database, f"{position}|{chain_hash}")
    assert verdict.stderr == ""
    assert verdict.stdout == (f"{position} events verify; erased subjects: 1; head: {chain_hash}\n")


@pytest.mark.parametrize(
    ("tampering", "complaint"),
    [
        ("UPDATE events SET actor = 'key:x' WHERE position = 2", "position 2: the chain is broken"),
        (
            "UPDATE events SET payload = '{}' WHERE position = 1",
            "position 1: the payload is not what was recorded",
        ),
        (
            "UPDATE events SET payload = NULL, salt = NULL WHERE type = 'ProjectCreated'",
            "erased without having been deleted: ",
        ),
        ("DELETE FROM events WHERE position = 2", "position 3: the chain is broken"),
        ("DELETE FROM events WHERE type = 'ErasureCompleted'", "the head that was kept is not"),
    ],
)
async def test_the_documented_verifier_tells_what_was_tampered_with(
    tmp_path: Path, tampering: str, complaint: str
) -> None:
    database, position, chain_hash = await a_log(tmp_path)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TRIGGER events_are_only_erased")
        connection.execute("DROP TRIGGER events_are_never_deleted")
        connection.execute(tampering)
    verdict = verified(database, f"{position}|{chain_hash}")
    assert verdict.returncode == 1
    assert verdict.stderr.startswith(complaint)
