"""Secret files, each whole or not there, and readable by one user only."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 32


def give(path: Path, data: bytes, uid: int) -> None:
    """Write a file that `uid` alone may read. Readers see the old one or the new one, also after a crash. Who is not
    root cannot give: then all of the stack runs as one user."""
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_root = os.geteuid() == 0
    if is_root and folder.stat().st_uid != uid:
        folder.chmod(0o700)
        os.chown(folder, uid, -1)
    if path.exists() and path.read_bytes() == data:
        return
    unfinished = folder / f".{path.name}.unfinished"
    number = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(data)
        if is_root:
            os.fchown(number, uid, uid)
        file.flush()
        os.fsync(number)
    unfinished.replace(path)


def kept(path: Path) -> bytes:
    """The secret of this name: made once, by chance, and the same ever after."""
    if not path.exists():
        give(path, secrets.token_urlsafe(SECRET_BYTES).encode(), os.geteuid())
    return path.read_bytes()
