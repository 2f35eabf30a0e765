"""Is a journal whole? What a start has no time for is looked at beside it, on a connection of its own."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import structlog

from gateway.journal_reader import JournalReader
from gateway.journal_recovery import CHECK_BYTES_MAX, is_damage

Flaw = Literal["set_aside", "altered"]
BREATH_S = 0.005
"""Between two pieces of the audit trail: the gateway's loop shares this interpreter."""

log = structlog.get_logger(part="journal")


def look_over(path: Path, found: Callable[[Flaw, Exception | None], None]) -> None:
    """Check a large file and the audit trail. `found` is told of damage, which asks for another file, and of a trail
    that does not fit together, which is only said. Nothing is found in a file that was replaced meanwhile, or in none.
    """
    try:
        with JournalReader(path) as reader:
            try:
                if path.stat().st_size > CHECK_BYTES_MAX:
                    reader.quick_check()
                line = reader.broken_audit(lambda: time.sleep(BREATH_S))
            except sqlite3.DatabaseError as error:
                if not is_damage(error) or not reader.is_current():
                    raise
                found("set_aside", error)
                return
            if line is not None and reader.is_current():
                log.error("the journal's audit trail was altered", path=str(path), line=line)
                found("altered", None)
    except (sqlite3.Error, OSError) as error:
        log.warning("journal could not be looked over", path=str(path), error=str(error))
