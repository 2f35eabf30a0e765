"""`gc` of the simulated board: a collection stops the program for as long as the conductor says, and the memory that
the shims take here, and no board has, is not counted."""

import gc as _gc
import sys

import link
import uos

enable = _gc.enable
disable = _gc.disable
isenabled = _gc.isenabled
threshold = _gc.threshold
_simulator_bytes = 0
_added_bytes = int(uos.getenv("CHAIRSIDE_SHIMS_BYTES") or 0)  # to the heap, for the simulator


def settle():
    """Everything of the simulator is loaded: from now on what is allocated is the program's."""
    global _simulator_bytes
    import network  # noqa: F401
    import os  # noqa: F401
    import select  # noqa: F401
    import socket  # noqa: F401
    import time  # noqa: F401

    _gc.collect()
    _simulator_bytes = _gc.mem_alloc() - link.before_bytes


def collect():
    _gc.collect()
    link.ask(b"G")


def mem_free():
    return _gc.mem_free() + _simulator_bytes - _added_bytes


def mem_alloc():
    return _gc.mem_alloc() - _simulator_bytes


sys.modules["gc"] = sys.modules["collector"]
