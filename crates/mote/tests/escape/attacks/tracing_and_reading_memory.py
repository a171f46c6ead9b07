"""The memory and descriptors of another process."""

import ctypes
import os

from kit import attempts, syscall

TARGETS = [1, os.getppid(), 2, 3]


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def others():
    own = os.getpid()
    return [pid for pid in sorted({1, *[int(name) for name in os.listdir("/proc") if name.isdigit()]}) if pid not in (own, os.getppid())]


def read(pid):
    room = ctypes.create_string_buffer(16)
    here = Piece(ctypes.cast(room, ctypes.c_void_p), 16)
    there = Piece(0x400000, 16)
    return syscall("process_vm_readv", pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def stolen(pid):
    descriptor = syscall("pidfd_open", pid, 0)
    return syscall("pidfd_getfd", descriptor, 0, 0)


def attached(pid):
    return syscall("ptrace", 16, pid, 0, 0)


def memory(pid):
    return os.open(f"/proc/{pid}/mem", os.O_RDWR)


def run():
    found = {}
    for pid in (1, 2_000_000):
        found |= attempts(
            **{
                f"attach_{pid}": (attached, pid),
                f"seize_{pid}": (syscall, "ptrace", 0x4206, pid, 0, 0),
                f"read_{pid}": (read, pid),
                f"steal_{pid}": (stolen, pid),
                f"memory_{pid}": (memory, pid),
                f"compare_{pid}": (syscall, "kcmp", os.getpid(), pid, 0, 0, 0),
            }
        )
    return found
