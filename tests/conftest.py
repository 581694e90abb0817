"""Settings of all tests: small work runs on one thread, here and in child processes."""

import importlib.util
import os
import signal

# Two threads that wait for each other beside other work cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests that
# interrupt a child would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Lava sets how processes start when it is imported, which works only before the first one.
if importlib.util.find_spec("lava"):
    import lava.magma.runtime.message_infrastructure.multiprocessing  # noqa: F401
