"""Time and names that others on the host share."""

import time

from kit import attempts, syscall


def run():
    zeros = b"\0" * 256
    return attempts(
        clock_settime=(time.clock_settime, time.CLOCK_REALTIME, 0),
        settimeofday=(syscall, "settimeofday", zeros, 0),
        adjtimex=(syscall, "adjtimex", b"\1\0\0\0" + zeros),
        sethostname=(syscall, "sethostname", b"mine", 4),
        setdomainname=(syscall, "setdomainname", b"mine", 4),
    )
