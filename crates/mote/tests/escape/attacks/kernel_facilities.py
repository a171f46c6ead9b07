"""Doors into the kernel that a function has no business at."""

import os

from kit import attempts, syscall


def handle():
    """A file of the host by its handle, as if by inode number."""
    import ctypes

    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]

    handle = Handle(bytes=8, type=1)
    handle.data[0] = 2
    at = os.open("/code", os.O_RDONLY)
    return syscall("open_by_handle_at", at, ctypes.byref(handle), os.O_RDONLY)


def run():
    zeros = b"\0" * 128
    return attempts(
        keyctl_get_session=(syscall, "keyctl", 0, -3, 1),
        keyctl_join=(syscall, "keyctl", 1, b"mine"),
        add_key=(syscall, "add_key", b"user", b"name", b"payload", 7, -3),
        request_key=(syscall, "request_key", b"user", b"name", 0, -3),
        bpf_map=(syscall, "bpf", 0, b"\2\0\0\0\4\0\0\0\4\0\0\0\1\0\0\0" + zeros, 72),
        bpf_program=(syscall, "bpf", 5, b"\1\0\0\0\2\0\0\0" + zeros, 72),
        userfaultfd=(syscall, "userfaultfd", 1),
        userfaultfd_kernel=(syscall, "userfaultfd", 0),
        io_uring=(syscall, "io_uring_setup", 4, zeros),
        perf_event_open=(syscall, "perf_event_open", b"\1\0\0\0\x80\0\0\0" + zeros, 0, -1, -1, 0),
        open_by_handle_at=(handle,),
        kexec_load=(syscall, "kexec_load", 0, 0, 0, 0),
        kexec_file_load=(syscall, "kexec_file_load", -1, -1, 0, 0, 0),
        init_module=(syscall, "init_module", b"", 0, b""),
        finit_module=(syscall, "finit_module", 0, b"", 0),
        delete_module=(syscall, "delete_module", b"loop", 0),
        reboot=(syscall, "reboot", 0xFEE1DEAD - (1 << 32), 672274793, 0x1234567, 0),
        swapon=(syscall, "swapon", b"/tmp", 0),
        acct=(syscall, "acct", b"/tmp/acct"),
        quotactl=(syscall, "quotactl", 0x800002, 0, 0, 0),
        kernel_log=(syscall, "syslog", 3, zeros, 100),
        vhangup=(syscall, "vhangup"),
    )
