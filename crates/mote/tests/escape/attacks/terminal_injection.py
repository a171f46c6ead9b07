"""TIOCSTI, on whatever might be a terminal."""

import fcntl
import os
import termios

from kit import attempts


def typed(descriptor):
    fcntl.ioctl(descriptor, termios.TIOCSTI, b"x")


def typed_with_high_bits():
    """Filters that compare 64 bits where the kernel reads 32."""
    from kit import libc
    import ctypes

    if libc.syscall(ctypes.c_long(16 if os.uname().machine == "x86_64" else 29), 0, ctypes.c_ulong(0x1_0000_5412), b"x") < 0:
        raise OSError(ctypes.get_errno(), "ioctl")


def controlling():
    typed(os.open("/dev/tty", os.O_RDWR))


def console():
    typed(os.open("/dev/console", os.O_RDWR))


def run():
    return attempts(stdin=(typed, 0), stdout=(typed, 1), stderr=(typed, 2), high_bits=(typed_with_high_bits,), terminal=(controlling,), console=(console,))
