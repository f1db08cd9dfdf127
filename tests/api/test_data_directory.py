import errno
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.data_directory import DataDirectory, DataDirectoryError, DataDirectoryInUse

SERVE = """
import sys
from pathlib import Path
from api.data_directory import DataDirectory

with DataDirectory(Path(sys.argv[1])).lock():
    print("serving", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.ensure()
    return made


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def permissive_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def another_process_serving_from(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVE, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield process
        finally:
            process.kill()


class TestTheDirectory:
    def test_it_is_made_for_its_owner_only_with_what_leads_to_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "data"
        with permissive_umask():
            DataDirectory(path).ensure()
        assert mode_of(path) == 0o700

    def test_one_that_exists_stays_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o750)
        (tmp_path / "file").write_text("kept")
        DataDirectory(tmp_path).ensure()
        assert mode_of(tmp_path) == 0o750
        assert (tmp_path / "file").read_text() == "kept"

    def test_nothing_is_touched_before_it_is_asked_for(self, tmp_path: Path) -> None:
        DataDirectory(tmp_path / "data")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("below", ["", "data"])
    def test_a_file_in_its_place_is_told_in_one_line(self, tmp_path: Path, below: str) -> None:
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / below
        with pytest.raises(DataDirectoryError) as caught:
            DataDirectory(path).ensure()
        assert str(caught.value).startswith(f"can't use {path}: ")
        assert "CRONPULSE_DATA_DIR must be a directory" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_one_that_may_not_be_written_in_is_told_in_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
        with pytest.raises(DataDirectoryError, match="this user may not write in it"):
            DataDirectory(tmp_path).ensure()

    @pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS, errno.ENOSPC])
    def test_one_that_can_not_be_made_is_told_in_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
    ) -> None:
        def no(*_: object, **__: object) -> None:
            raise OSError(reason, os.strerror(reason))

        monkeypatch.setattr(Path, "mkdir", no)
        with pytest.raises(DataDirectoryError, match=os.strerror(reason)):
            DataDirectory(tmp_path / "data").ensure()


class TestTheLock:
    def test_a_second_process_keeps_us_out_and_is_named(self, directory: DataDirectory) -> None:
        with another_process_serving_from(directory.path) as process:
            with pytest.raises(DataDirectoryInUse) as caught, directory.lock():
                pass
            assert caught.value.pid == process.pid
            assert str(caught.value) == (
                f"the data directory {directory.path} is in use by process {process.pid}:"
                " stop that one first, or choose another CRONPULSE_DATA_DIR"
            )

    def test_we_keep_a_second_process_out(self, directory: DataDirectory) -> None:
        with directory.lock():
            second = subprocess.run(
                [sys.executable, "-c", SERVE, str(directory.path)],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        assert second.returncode == 1
        assert second.stdout == ""
        assert f"in use by process {os.getpid()}:" in second.stderr

    def test_it_is_free_once_the_other_process_was_killed(self, directory: DataDirectory) -> None:
        with another_process_serving_from(directory.path) as process:
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        with directory.lock():
            assert lock_file(directory).read_text() == f"{os.getpid()}\n"

    def test_it_is_free_once_the_other_process_ended(self, directory: DataDirectory) -> None:
        with another_process_serving_from(directory.path) as process:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait() == 0
        with directory.lock():
            pass

    def test_it_is_free_after_the_block_even_when_that_failed(
        self, directory: DataDirectory
    ) -> None:
        with pytest.raises(ZeroDivisionError), directory.lock():
            raise ZeroDivisionError
        with directory.lock():
            pass

    def test_it_is_not_taken_twice_in_one_process(self, directory: DataDirectory) -> None:
        with directory.lock(), pytest.raises(DataDirectoryInUse) as caught, directory.lock():
            pass
        assert caught.value.pid == os.getpid()

    def test_another_directory_has_another_lock(
        self, directory: DataDirectory, tmp_path: Path
    ) -> None:
        with directory.lock(), DataDirectory(tmp_path).lock():
            pass

    def test_a_shorter_pid_leaves_nothing_of_a_longer_one(self, directory: DataDirectory) -> None:
        lock_file(directory).write_text("9" * 20 + "\n")
        with directory.lock():
            assert lock_file(directory).read_text() == f"{os.getpid()}\n"

    @pytest.mark.parametrize("written", ["", "12x", "\u0663"])
    def test_a_holder_that_has_not_written_its_pid_is_another_process(
        self, directory: DataDirectory, written: str
    ) -> None:
        with directory.lock():
            lock_file(directory).write_text(written, encoding="utf-8")
            with pytest.raises(DataDirectoryInUse, match="in use by another process:") as caught:
                directory.lock().__enter__()
        assert caught.value.pid is None

    def test_its_file_is_for_its_owner_only(self, directory: DataDirectory) -> None:
        with permissive_umask(), directory.lock():
            assert mode_of(lock_file(directory)) == 0o600

    def test_it_is_not_handed_on_to_programs_that_are_started(
        self, directory: DataDirectory
    ) -> None:
        with directory.lock():
            held = [
                int(each.name)
                for each in Path("/proc/self/fd").iterdir()
                if each.is_symlink() and each.readlink() == lock_file(directory)
            ]
            assert [os.get_inheritable(each) for each in held] == [False]

    def test_a_missing_directory_is_told_in_one_line(self, tmp_path: Path) -> None:
        missing = DataDirectory(tmp_path / "data")
        with pytest.raises(DataDirectoryError, match="No such file or directory"):
            missing.lock().__enter__()

    def test_a_file_system_without_locks_is_told_in_one_line(
        self, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr("fcntl.flock", no)
        with pytest.raises(DataDirectoryError, match="No locks available") as caught:
            directory.lock().__enter__()
        assert not isinstance(caught.value, DataDirectoryInUse)

    def test_an_error_of_the_block_is_not_taken_for_one_of_ours(
        self, directory: DataDirectory
    ) -> None:
        with pytest.raises(FileNotFoundError), directory.lock():
            raise FileNotFoundError


def lock_file(directory: DataDirectory) -> Path:
    return directory.path / "cronpulse.lock"


def key_file(directory: DataDirectory) -> Path:
    return directory.path / "secret.key"


def write_key(directory: DataDirectory, content: str | bytes, mode: int = 0o600) -> None:
    key_file(directory).write_bytes(content if isinstance(content, bytes) else content.encode())
    key_file(directory).chmod(mode)


class TestTheSecretKey:
    def test_it_is_made_once_and_read_from_then_on(self, directory: DataDirectory) -> None:
        key = directory.secret_key()
        assert re.fullmatch("[0-9a-f]{64}", key)
        assert directory.secret_key() == key
        assert DataDirectory(directory.path).secret_key() == key
        assert key_file(directory).read_text() == f"{key}\n"

    def test_no_two_directories_have_the_same(
        self, directory: DataDirectory, tmp_path: Path
    ) -> None:
        assert DataDirectory(tmp_path).secret_key() != directory.secret_key()

    def test_its_file_is_for_its_owner_only_and_the_only_one_left(
        self, directory: DataDirectory
    ) -> None:
        with permissive_umask():
            directory.secret_key()
        assert mode_of(key_file(directory)) == 0o600
        assert list(directory.path.iterdir()) == [key_file(directory)]

    def test_it_is_on_disk_before_it_has_its_name_and_then_its_name_is(
        self, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[tuple[bool, bool]] = []

        def fsync(file: int) -> None:
            is_directory = stat.S_ISDIR(os.fstat(file).st_mode)
            synced.append((is_directory, key_file(directory).exists()))
            if not is_directory:
                assert os.fstat(file).st_size == 65

        monkeypatch.setattr(os, "fsync", fsync)
        directory.secret_key()
        assert synced == [(False, False), (True, True)]

    def test_a_full_disk_leaves_neither_a_key_nor_a_draft(
        self, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DataDirectoryError, match="No space left on device"):
            directory.secret_key()
        assert list(directory.path.iterdir()) == []

    def test_of_two_that_make_one_at_once_both_get_the_first(
        self, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        random = secrets.token_hex

        def slow(count: int) -> str:
            if not key_file(directory).exists():
                write_key(directory, "ab" * 32 + "\n")
            return random(count)

        monkeypatch.setattr(secrets, "token_hex", slow)
        assert directory.secret_key() == "ab" * 32
        assert list(directory.path.iterdir()) == [key_file(directory)]

    def test_one_that_an_operator_wrote_is_read(self, directory: DataDirectory) -> None:
        write_key(directory, "0123456789abcdef" * 4, mode=0o400)
        assert directory.secret_key() == "0123456789abcdef" * 4

    def test_reading_it_writes_nothing(
        self, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_key(directory, "ab" * 32)
        monkeypatch.delattr(secrets, "token_hex")
        assert directory.secret_key() == "ab" * 32

    def test_one_behind_a_link_is_read(self, directory: DataDirectory, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_text("ab" * 32)
        (tmp_path / "elsewhere").chmod(0o600)
        key_file(directory).symlink_to(tmp_path / "elsewhere")
        assert directory.secret_key() == "ab" * 32

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o644, 0o601])
    def test_one_that_is_open_to_others_is_refused(
        self, directory: DataDirectory, mode: int
    ) -> None:
        write_key(directory, "ab" * 32, mode=mode)
        with pytest.raises(DataDirectoryError) as caught:
            directory.secret_key()
        assert f"run chmod 600 {key_file(directory)}" in str(caught.value)

    def test_the_command_to_run_can_be_pasted_whatever_the_path(self, tmp_path: Path) -> None:
        directory = DataDirectory(tmp_path / "my data")
        directory.ensure()
        write_key(directory, "ab" * 32, mode=0o644)
        with pytest.raises(DataDirectoryError, match=r"run chmod 600 '.*/my data/secret\.key' "):
            directory.secret_key()

    @pytest.mark.parametrize("content", ["", "\n", "  \n"])
    def test_an_empty_one_is_refused_and_not_replaced(
        self, directory: DataDirectory, content: str
    ) -> None:
        write_key(directory, content)
        with pytest.raises(DataDirectoryError, match=r"secret\.key is empty"):
            directory.secret_key()
        assert key_file(directory).read_text() == content

    @pytest.mark.parametrize(
        "content",
        [
            "ab" * 31 + "a",
            "ab" * 32 + "a",
            "ab" * 16 + "\n" + "ab" * 16,
            "ab" * 9999,
            "xy" * 32,
            "AB" * 32,
            b"\xff" * 64,
        ],
    )
    def test_a_damaged_one_is_refused_unseen(
        self, directory: DataDirectory, content: str | bytes
    ) -> None:
        write_key(directory, content)
        with pytest.raises(DataDirectoryError) as caught:
            directory.secret_key()
        assert "secret.key is damaged: it has to hold 64 hexadecimal digits" in str(caught.value)
        assert "abab" not in str(caught.value)
        assert "xyxy" not in str(caught.value)

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_what_is_no_file_is_refused_without_waiting_for_it(
        self, directory: DataDirectory, make: Callable[[Path], None]
    ) -> None:
        make(key_file(directory))
        with pytest.raises(DataDirectoryError, match=r"secret\.key is not a file"):
            directory.secret_key()

    def test_a_missing_directory_is_told_in_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(DataDirectoryError, match="No such file or directory"):
            DataDirectory(tmp_path / "data").secret_key()

    def test_a_link_to_nowhere_is_told_in_one_line(self, directory: DataDirectory) -> None:
        key_file(directory).symlink_to("nowhere")
        with pytest.raises(DataDirectoryError, match="No such file or directory"):
            directory.secret_key()


def test_a_missing_key_is_not_replaced_where_a_database_was_made_with_it(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with pytest.raises(DataDirectoryError, match="is missing"):
        directory.secret_key(is_new=False)
    assert not (tmp_path / "secret.key").exists()
