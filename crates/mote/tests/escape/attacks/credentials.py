"""Somebody else's user, groups and rights."""

import os

from kit import attempts, libc, syscall


def raised_ambient():
    if libc.prctl(47, 2, 21, 0, 0) < 0:
        raise OSError(1, "ambient")


def new_privileges():
    """no_new_privs can't be taken back, nor securebits."""
    if libc.prctl(28, 0, 0, 0, 0) < 0:
        raise OSError(1, "securebits")


def capabilities():
    import ctypes

    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 3, *[0x1FF] * 3)
    if libc.capset(head, data) < 0:
        raise OSError(1, "capset")


def mapped():
    with open("/proc/self/uid_map", "w") as users:
        users.write("0 0 1")


def some_capability():
    with open("/proc/self/status") as status:
        sets = [int(line.split()[1], 16) for line in status if line.startswith("Cap")]
    if not any(sets):
        raise PermissionError("none")


def run():
    return attempts(
        setuid_root=(syscall, "setuid", 0),
        setgid_root=(syscall, "setgid", 0),
        setgroups=(syscall, "setgroups", 0, 0),
        setuid_other=(syscall, "setuid", 1000),
        capset=(capabilities,),
        ambient=(raised_ambient,),
        securebits=(new_privileges,),
        has_some=(some_capability,),
        map_users=(mapped,),
        nice=(os.nice, -5),
        real_time=(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
    )
