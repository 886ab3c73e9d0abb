"""The machine as this process sees it: what the numbers were measured on."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Optional, Union

Fact = Union[None, str, int, float, List[float]]

_CPU_MODEL = re.compile(r"^(?:model name|Model|Hardware|CPU part)\s*:\s*(.+)$", re.MULTILINE)


def describe_machine(core: int) -> Dict[str, Fact]:
    """Return CPU model, core count, governor of `core`, load averages, container limits, kernel and architecture.

    Memory in bytes, CPU limit in cores; what the machine does not tell is None.
    """
    system = os.uname()
    model = _CPU_MODEL.search(_text("/proc/cpuinfo") or "")
    governor = _text("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor" % core)
    return {
        "cpu_model": model.group(1).strip() if model else None,
        "cores": os.cpu_count(),
        "allowed_cores": len(os.sched_getaffinity(0)),
        "governor": governor,
        "load": list(os.getloadavg()),
        "memory_limit_bytes": _memory_limit(),
        "cpu_limit": _cpu_limit(),
        "kernel": system.release,
        "arch": system.machine,
    }


def _memory_limit() -> Optional[int]:
    limit = _text("/sys/fs/cgroup/memory.max") or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes") or "max"
    # version 1 says "no limit" with the largest multiple of the page size
    return int(limit) if limit.isdigit() and int(limit) < 2**62 else None


def _cpu_limit() -> Optional[float]:
    quota, _, period = (_text("/sys/fs/cgroup/cpu.max") or "").partition(" ")
    if not period:
        quota = _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") or ""
        period = _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us") or ""
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None
