"""What must always be true of a chair, whatever happens to it."""

from simulators.clinic.invariants.watch import INVARIANTS, Watch

__all__ = ["INVARIANTS", "Watch"]
