"""One process at a time trains in a run folder."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock


@contextlib.contextmanager
def claim(run: Path) -> Iterator[None]:
    """Holds the lock RUN/.lock for as long as the block runs.

    The operating system (or the file server) frees the lock of a process that has died, on any
    host. A folder that did not exist before and is empty after the block is removed.

    Raises:
      FileExistsError: another process trains in the folder; the message says which.
      OSError: the file system knows no locks, or is not writable.
    """
    existed = run.exists()
    run.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(run / ".lock")
    holder = run / ".holder"  # in a file of its own, which every file system lets others read
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        who = holder.read_text() if holder.exists() else "another process"
        raise FileExistsError(
            f"{run} is in use: {who} trains in it. Wait for it, or choose another folder (out)"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise OSError(
            f"{run / '.lock'} cannot be locked ({error}): expected a folder that you may write to, "
            "on a file system with file locks. Choose another (out), such as a local disk"
        ) from error
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        if not existed and {path.name for path in run.iterdir()} <= {".lock"}:
            (run / ".lock").unlink(missing_ok=True)
            run.rmdir()
        lock.release()
