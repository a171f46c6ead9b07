"""What is open at the start, and what can be reached through it."""

import os

from kit import attempts


def climbed(number, path):
    return os.open(path, os.O_RDONLY, dir_fd=number)


def run():
    found = {}
    # The directory that is listed is open itself meanwhile.
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass
    tried = {}
    for number in range(3, 64):
        tried[f"root_of_{number}"] = (climbed, number, ".")
        tried[f"above_{number}"] = (climbed, number, "../../../../etc/shadow")
    return {"open": found, "tried": attempts(**tried)}
