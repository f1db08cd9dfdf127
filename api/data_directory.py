"""The data directory: what one ``cronpulse serve`` keeps on disk, and that it is the only one.

=================  =====================================================================
``cronpulse.lock``  held by the process that serves from here, and naming it
``secret.key``      what stored secrets are encrypted with, unless the settings have a key
=================  =====================================================================

(The database, ``cronpulse.db``, lies here too by default; :mod:`eventstore` looks after it.)
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EACCES, EAGAIN
from pathlib import Path
from typing import Final

KEY_BYTES: Final = 32
"""Random bytes of a generated secret key; the file spells them in hexadecimal digits."""

_KEY = re.compile(f"[0-9a-f]{{{2 * KEY_BYTES}}}")
_READ_AT_MOST: Final = 4096
_OWNER_ONLY: Final = 0o600


class DataDirectoryError(Exception):
    """The data directory can't be used as it is; the message is one line that says what to do."""


class DataDirectoryInUse(DataDirectoryError):
    """Another process serves from this data directory; ``pid`` is its id, where it can be told."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"the data directory {path} is in use by {who}:"
            " stop that one first, or choose another CRONPULSE_DATA_DIR"
        )
        self.pid = pid


@contextmanager
def only_here(*paths: Path) -> Iterator[None]:
    """Be the only process that works in these directories, until the block ends; makes them.

    Raises :class:`DataDirectoryInUse`.
    """
    with ExitStack() as locks:
        for path in sorted({path.resolve() for path in paths}):
            directory = DataDirectory(path)
            directory.ensure()
            locks.enter_context(directory.lock())
        yield


class DataDirectory:
    """The files in ``path``. Making one touches nothing yet.

    Every method raises :class:`DataDirectoryError` where the file system says no.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def ensure(self) -> None:
        """Make the directory where there is none, for its owner only (mode 0700).

        One that exists keeps its mode: who made it may have had reasons.
        """
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(EACCES, "this user may not write in it")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that serves from here, until the block ends.

        The kernel holds the lock (flock), so it goes with the process however that ends, and the
        file that is left behind locks nothing. Raises :class:`DataDirectoryInUse`.
        """
        path = self.path / "cronpulse.lock"
        with _told(path):
            file = os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        try:
            with _told(path):
                self._take(file)
                os.ftruncate(file, 0)
                os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(file)

    def secret_key(self, *, is_new: bool = True) -> str:
        """The key in ``secret.key``: 64 hexadecimal digits, made on the first call ever.

        A key file that is damaged is refused, not replaced: what was encrypted with the right one
        would be lost. So is one that is missing where the database ``is_new`` no more.
        """
        path = self.path / "secret.key"
        with _told(path):
            if not path.exists():
                if not is_new:
                    raise DataDirectoryError(
                        f"{path} is missing, and there is a database that was made with a key:"
                        " restore it from a backup, or set CRONPULSE_SECRET_KEY if that was used."
                        " With any other key, stored secrets and API keys are lost"
                    )
                self._make_key(path)
            return _read_key(path)

    def _take(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {EACCES, EAGAIN}:
                raise
            holder = os.pread(file, 32, 0).strip()
            pid = int(holder) if holder.isdigit() else None
            raise DataDirectoryInUse(self.path, pid) from error

    def _make_key(self, path: Path) -> None:
        """Put a new key in place whole and on disk, or not at all; whoever is first wins."""
        draft = path.with_name(f".secret.key.{secrets.token_hex(8)}")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        try:
            with os.fdopen(file, "w", encoding="ascii") as out:
                out.write(f"{secrets.token_hex(KEY_BYTES)}\n")
                out.flush()
                os.fsync(out.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink()
        _sync_directory(self.path)


def _read_key(path: Path) -> str:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise DataDirectoryError(f"{path} is not a file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise DataDirectoryError(
                f"{path} is open to other users: run chmod 600 {shlex.quote(str(path))}"
                " (and think of a new key, if somebody may have read this one)"
            )
        content = os.read(file, _READ_AT_MOST)
    finally:
        os.close(file)
    key = content.decode("ascii", errors="replace").strip()
    if not _KEY.fullmatch(key):
        found = "is empty" if not key else "is damaged"
        raise DataDirectoryError(
            f"{path} {found}: it has to hold {2 * KEY_BYTES} hexadecimal digits (0-9, a-f)."
            " Restore it from a backup; with any other key, stored secrets can't be read"
        )
    return key


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the file system says about ``path`` into one line about it."""
    try:
        yield
    except OSError as error:
        raise DataDirectoryError(
            f"can't use {path}: {error.strerror or error}."
            " CRONPULSE_DATA_DIR must be a directory that this user may write in"
        ) from error
