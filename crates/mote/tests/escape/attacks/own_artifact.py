"""Changes to the code, the runner, and what every program of the host uses."""

import ctypes
import mmap
import os

from kit import attempts, libc

OWN = "/code/case.py"


def written(path):
    with open(path, "r+b") as file:
        file.write(b"x")


def made(path):
    with open(path, "xb") as file:
        file.write(b"x")


def reopened():
    """A descriptor for reading, opened again for writing by its name in /proc."""
    at = os.open(OWN, os.O_RDONLY)
    return os.open(f"/proc/self/fd/{at}", os.O_RDWR)


def mapped():
    with open(OWN, "rb") as file:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def through_memory():
    """Pages of a file, written past their protection."""
    with open(OWN, "rb") as file:
        pages = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        room = (ctypes.c_char * 1).from_buffer_copy(pages)
        libc.mmap.restype = ctypes.c_void_p
        at = libc.mmap(None, 4096, 1, 1, file.fileno(), 0)
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(at)
            memory.write(b"x")
        return room


def spliced():
    """A page of a file in a pipe, written over there."""
    ours, theirs = os.pipe()
    with open(OWN, "rb") as file:
        os.splice(file.fileno(), theirs, 1, offset_src=0)
    os.write(theirs, b"XXXXXXXX")
    with open(OWN, "rb") as file:
        if b"XXXXXXXX" in file.read(16):
            return "overwritten"
    raise PermissionError("unchanged")


def intact():
    with open(OWN) as file:
        return "intact" if file.read().startswith('"""Changes to the code') else "changed"


def run():
    return attempts(
        code=(written, OWN),
        truncated=(os.truncate, OWN, 0),
        removed=(os.unlink, OWN),
        renamed=(os.rename, OWN, "/code/other.py"),
        linked=(os.link, OWN, "/code/other.py"),
        away=(os.link, OWN, "/tmp/other.py"),
        mode=(os.chmod, OWN, 0o777),
        owner=(os.chown, OWN, 64100, 64100),
        times=(os.utime, OWN),
        attribute=(os.setxattr, OWN, "user.x", b"x"),
        new=(made, "/code/new.py"),
        cache=(os.mkdir, "/code/__pycache__"),
        reopened=(reopened,),
        mapped=(mapped,),
        through_memory=(through_memory,),
        spliced=(spliced,),
        runner=(made, "/runner/new.py"),
        runner_main=(written, "/runner/main.py"),
        etc=(written, "/etc/passwd"),
        resolver=(made, "/etc/new"),
        program=(written, "/usr/bin/env"),
        library=(made, "/usr/lib/new.so"),
        root=(made, "/new"),
        root_directory=(os.mkdir, "/newdir"),
        device=(made, "/dev/new"),
        proc_self=(made, "/proc/self/new"),
    )
