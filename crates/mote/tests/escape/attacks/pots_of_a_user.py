"""What the kernel keeps for each user and not for each process: taken until there is no more, and kept."""

import errno
import fcntl
import os

from kit import libc

KEPT = []
F_SETPIPE_SZ = 1031
F_GETPIPE_SZ = 1032


def instance():
    descriptor = libc.inotify_init1(0)
    if descriptor < 0:
        raise OSError(errno.EMFILE, "inotify_init1")
    KEPT.append(descriptor)


def pipe():
    """The capacity of a new one: a page or two when the user has too many pages."""
    ends = os.pipe()
    KEPT.extend(ends)
    return fcntl.fcntl(ends[1], F_GETPIPE_SZ)


def large_pipe():
    pipe()
    fcntl.fcntl(KEPT[-1], F_SETPIPE_SZ, 1 << 20)


def until_refused(what, most=200):
    for count in range(most):
        try:
            what()
        except OSError:
            return count
    return most


def limit(name):
    with open(f"/proc/sys/user/{name}") as file:
        return int(file.read())


def take():
    return {
        "instances": until_refused(instance),
        "watches": limit("max_inotify_watches"),
        "pipes": until_refused(large_pipe),
        "pipe": pipe(),
    }


def look():
    return {"instances": until_refused(instance, 1), "pipe": pipe()}
