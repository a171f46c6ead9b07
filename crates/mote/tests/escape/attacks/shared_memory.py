"""Memory and queues with a name, by which two functions might meet."""

import ctypes
import os

from kit import attempts, libc

KEY = 0x6D6F7465


def write():
    # Whatever of it works in here is this function's own.
    segment = libc.shmget(KEY, 4096, 0o1666)
    if segment >= 0:
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(segment, None, 0)
        ctypes.memmove(at, b"treasure", 8)
    libc.semget(KEY, 1, 0o1666)
    libc.msgget(KEY, 0o1666)
    for directory in ("/dev/shm", "/tmp"):
        with open(f"{directory}/treasure", "w") as file:
            file.write("treasure")
    return "written"


def got(what, *arguments):
    if what(KEY, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "not there")


def read():
    return attempts(
        segment=(got, libc.shmget, 4096, 0o666),
        semaphore=(got, libc.semget, 1, 0o666),
        queue=(got, libc.msgget, 0o666),
        shared=(os.open, "/dev/shm/treasure", os.O_RDONLY),
        temporary=(os.open, "/tmp/treasure", os.O_RDONLY),
    )
