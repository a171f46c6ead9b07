"""A dump of this process: as a file, or to the program that the host runs for dumps."""

import os
import resource
import signal

from kit import attempts


def handler():
    with open("/proc/sys/kernel/core_pattern", "w") as pattern:
        pattern.write("|/code/case.py")


def limit():
    # A lower limit is the way to the host's program: 1 alone keeps the kernel from starting it.
    for wanted in (0, 2, resource.RLIM_INFINITY):
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (wanted, wanted))
        except ValueError:
            pass
    if resource.getrlimit(resource.RLIMIT_CORE) == (1, 1):
        raise PermissionError("it stays 1")


def dumped():
    os.chdir("/tmp")
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    _, status = os.waitpid(child, 0)
    if not os.WCOREDUMP(status) and not [name for name in os.listdir("/tmp") if name.startswith("core")]:
        raise PermissionError("no dump")


def run():
    return attempts(handler=(handler,), limit=(limit,), dumped=(dumped,))
