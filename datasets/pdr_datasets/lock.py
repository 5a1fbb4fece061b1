"""One process at a time, on all hosts that share a file system."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock of that file for as long as the block runs.

    The system drops the lock of a process that dies. The file is removed at the end.

    Args:
      path: the file; its folder must exist.
      wait: whether to wait while another process holds the lock.

    Raises:
      BlockingIOError: another process holds the lock, and `wait` is False.
      OSError: the file cannot be made, or its file system or the platform cannot lock files.
    """
    try:
        import fcntl
    except ImportError as error:
        raise OSError(f"{path} cannot be locked on this platform: use Linux or macOS.") from error
    while True:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise
            except OSError as error:
                path.unlink(missing_ok=True)
                raise OSError(
                    f"{path} cannot be locked: {error}. Choose a folder on a file system that can "
                    "lock files (for prepared data, set PDR_DATA_DIR or pass data_dir)."
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
