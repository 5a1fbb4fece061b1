"""One process at a time, on all hosts that share a file system."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock of that file; waits while another process does.

    The system drops the lock of a process that dies. The file is removed at the end.

    Raises:
      OSError: the file cannot be made, or its file system or the platform cannot lock files.
    """
    try:
        import fcntl
    except ImportError as error:
        raise OSError(f"{path} cannot be locked on this platform: use Linux or macOS.") from error
    while True:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise OSError(
                    f"{path} cannot be locked: {error}. Keep the data set on a file system that "
                    "can lock files: set PDR_DATA_DIR, or pass data_dir."
                ) from error
            if _is_at(path, file.fileno()):  # else its last holder removed it
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _is_at(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
