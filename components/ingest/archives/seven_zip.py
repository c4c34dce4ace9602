"""Read 7z archives, by py7zr where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.ingest.archives.members import Archive, Create, Member, WriteError
from components.ingest.contents import BY_HAND
from components.ingest.placing import refuse, split_name


class DamagedError(ValueError):
    """What py7zr makes of a damaged archive, in one class."""


@contextmanager
def open_seven_zip(archive: Path, name: str) -> Iterator[Archive]:
    """Open a 7z archive.

    Args:
        archive: the file.
        name: what the user calls it, for messages.

    Raises:
        DarkroomError: if py7zr is not installed, or it is locked or compressed in an odd way.
        DamagedError: if it cannot be read.
    """
    try:
        import py7zr
        from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError
    except ImportError:
        raise DarkroomError(
            f"{name}: a 7z archive, read by py7zr: python -m pip install 'py7zr>=1.1', or {BY_HAND}"
        ) from None
    # Given an open file it works in one thread, and calls what writes in the archive's order.
    with archive.open("rb") as stream:
        try:
            opened = py7zr.SevenZipFile(stream)
            locked = opened.needs_password()
        except PasswordRequired:
            locked = True
        except UnsupportedCompressionMethodError as error:
            raise _unsupported(name, error) from None
        except Exception as error:  # of damaged headers it raises nearly anything
            raise DamagedError(_describe(error)) from None
        if locked:
            raise DarkroomError(f"{name}: locked with a password; {BY_HAND}")

        def extract(wanted: list[Member], create: Create) -> None:
            try:
                _extract(py7zr, opened, wanted, create)
            except UnsupportedCompressionMethodError as error:
                raise _unsupported(name, error) from None
            except (DarkroomError, WriteError):
                raise
            except Exception as error:
                raise DamagedError(_describe(error)) from None

        folders: list[str] = []
        yield Archive(_list(name, opened, folders), extract, folders)


def _list(name: str, opened: Any, folders: list[str]) -> Iterable[Member]:
    seen = set()
    for info in _guard(opened.list):
        path = str(info.filename)
        if info.is_directory:
            folders.append(path)
            continue
        split_name(name, path)  # refused here: py7zr has other words for what leads out
        if info.is_symlink or not info.is_file:
            raise refuse(name, path, "is a link or another special file")
        if path in seen:
            raise refuse(name, path, "stands in it twice")
        seen.add(path)
        yield Member(path, info.uncompressed, path)


def _extract(py7zr: Any, opened: Any, wanted: list[Member], create: Create) -> None:
    """Let py7zr write the members to what is opened for each."""
    members = {str(Path(member.name)): member for member in wanted}
    failures: list[Exception] = []

    @contextmanager
    def keeping() -> Iterator[None]:
        try:
            yield
        except Exception as error:  # py7zr may wrap it
            failures.append(error)
            raise

    class Out(py7zr.Py7zIO):  # type: ignore[misc]
        def __init__(self, member: Member) -> None:
            self._size = 0
            with keeping():
                self._file = create(member)

        def write(self, data: bytes | bytearray) -> int:
            with keeping():
                self._file.write(bytes(data))
            self._size += len(data)
            return len(data)

        def close(self) -> None:
            with keeping():
                self._file.close()

        # The class wants these too; nothing that is only written needs them.
        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            pass

        def size(self) -> int:
            return self._size

    class Factory(py7zr.WriterFactory):  # type: ignore[misc]
        def create(self, filename: str) -> Any:
            return Out(members[filename])

    try:
        opened.extract(targets=[member.handle for member in wanted], factory=Factory())
    except Exception:  # py7zr may raise another error after one of ours, or in its place
        if failures:
            raise failures[0] from None
        raise


def _guard(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        raise DamagedError(_describe(error)) from None


def _describe(error: Exception) -> str:
    """Return what py7zr says; some of its errors hold numbers before the words."""
    words = [str(word) for word in error.args if isinstance(word, str) and word]
    return words[-1] if words else type(error).__name__


def _unsupported(name: str, error: Exception) -> DarkroomError:
    return DarkroomError(
        f"{name}: compressed in a way that cannot be read here ({_describe(error)}); {BY_HAND}"
    )
