"""Memory without an end, in each way there is to get some."""

import mmap
import os


def heap():
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 20)))


def mapping():
    kept = []
    while True:
        piece = mmap.mmap(-1, 8 << 20)
        for page in range(0, 8 << 20, 4096):
            piece[page] = 1
        kept.append(piece)


def private_mapping():
    kept = []
    while True:
        piece = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for page in range(0, 8 << 20, 4096):
            piece[page] = 1
        kept.append(piece)


def anonymous_file():
    kept = []
    while True:
        kept.append(os.memfd_create("more"))
        for _ in range(8):
            os.write(kept[-1], bytes(1 << 20))
