"""Files that are generated and committed: write them, or say which are stale."""

import sys
from pathlib import Path


def settle(files: dict[Path, str], module: str) -> int:
    """Write `files`, or with `--check` on the command line only compare them. The exit code: 1 if one is stale."""
    stale = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is stale: run python -m {module}", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], "utf-8")
    return 0
