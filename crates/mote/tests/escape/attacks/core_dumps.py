"""A dump of this process: as a file, or to the program that the host runs for dumps."""

import os
import resource
import signal

from kit import attempts


def handler():
    with open("/proc/sys/kernel/core_pattern", "w") as pattern:
        pattern.write("|/code/case.py")


def dumped():
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:
        pass
    os.chdir("/tmp")
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    _, status = os.waitpid(child, 0)
    if not os.WCOREDUMP(status) and not [name for name in os.listdir("/tmp") if name.startswith("core")]:
        raise PermissionError("no dump")


def run():
    return attempts(handler=(handler,), dumped=(dumped,), limit=(resource.setrlimit, resource.RLIMIT_CORE, (1, 1)))
