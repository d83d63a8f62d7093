"""The peak memory of this process since a moment; ``ru_maxrss`` is that of its whole life and hides what is smaller."""

from pathlib import Path


def forget_peak() -> int:
    """Let the peak begin at the memory in use now, and return that, KiB (Linux, proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """Return the largest memory in use since `forget_peak`, or since the process began, KiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
