"""Files without an end: large ones, and many."""

import os


def fill(directory):
    with open(f"{directory}/all", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))


def in_tmp():
    fill("/tmp")


def in_shared_memory():
    fill("/dev/shm")


def by_inodes():
    number = 0
    while True:
        open(f"/tmp/{number}", "w").close()
        number += 1
