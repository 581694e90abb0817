"""Settings of all tests: small work runs on one thread, here and in child processes."""

import os

# Two threads that wait for each other beside other work cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
