"""Memory, disks and terminals of the host as files."""

import os
import stat

from kit import attempts


def made(path, kind, major, minor):
    os.mknod(path, kind | 0o666, os.makedev(major, minor))
    return os.open(path, os.O_RDONLY)


def others():
    """What is in /dev beyond what a jail needs."""
    known = {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm", "pts", "ptmx", "tty"}
    more = set(os.listdir("/dev")) - known
    if not more:
        raise PermissionError("nothing else")
    return sorted(more)


def run():
    return attempts(
        memory_node=(made, "/tmp/mem", stat.S_IFCHR, 1, 1),
        disk_node=(made, "/tmp/disk", stat.S_IFBLK, 8, 0),
        shm_node=(made, "/dev/shm/kmsg", stat.S_IFCHR, 1, 11),
        memory=(os.open, "/dev/mem", os.O_RDONLY),
        kernel_log=(os.open, "/dev/kmsg", os.O_RDWR),
        tun=(os.open, "/dev/net/tun", os.O_RDWR),
        kvm=(os.open, "/dev/kvm", os.O_RDWR),
        fuse=(os.open, "/dev/fuse", os.O_RDWR),
        others=(others,),
    )
