"""Keep freed memory: training steps then do not ask the system for the same memory again.

torch gives the large buffers of a step back to glibc, and glibc gives them back to the system: the
next step pays for every page once more. Two settings of glibc's ``mallopt`` (its manual page)
stop that, M_MMAP_MAX = 0 (no mapping a buffer) and M_TRIM_THRESHOLD = INT_MAX (no giving back).
The process keeps its largest size until it ends; therefore nobody calls this unasked.

>>> keep_freed_memory() in (True, False)
True
"""

from __future__ import annotations

import ctypes
import logging
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc
INT_MAX = 2**31 - 1

log = logging.getLogger(__name__)


def keep_freed_memory() -> bool:
    """Set glibc's allocator, for this whole process, to keep what is freed.

    Returns
    -------
    bool
        Whether it was set; False, with a line in the log, where the C library is not glibc.
    """
    library, _ = platform.libc_ver()
    if library != "glibc":
        log.warning("freed memory is not kept: this needs glibc, found %s", library or "another")
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, INT_MAX))
