"""One process at a time trains in a run folder."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pdr_datasets.lock import exclusive


@contextlib.contextmanager
def claim(run: Path) -> Iterator[None]:
    """Holds the lock RUN/.lock for as long as the block runs.

    A dead holder is in nobody's way, on any host. A folder that did not exist before and is empty
    after the block is removed.

    Raises:
      FileExistsError: another process trains in the folder; the message says which.
      OSError: the folder cannot be written to, or its file system knows no locks.
    """
    existed = run.exists()
    run.mkdir(parents=True, exist_ok=True)
    holder = run / ".holder"
    try:
        with exclusive(run / ".lock", wait=False):
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            try:
                yield
            finally:
                holder.unlink(missing_ok=True)
    except BlockingIOError:
        who = holder.read_text() if holder.exists() else "another process"
        raise FileExistsError(
            f"{run} is in use: {who} trains in it. Wait for it, or choose another folder (out)"
        ) from None
    finally:
        if not existed:
            with contextlib.suppress(OSError):  # it holds files by now
                run.rmdir()
