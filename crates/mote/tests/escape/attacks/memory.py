"""Memory, in each way there is to get some: without an end, but for the sake of a machine that has no limit."""

import mmap
import os

MOST = 1 << 30
PIECE = 8 << 20
UNLIMITED = "all of it"


def heap():
    kept = []
    while len(kept) < MOST // PIECE:
        kept.append(bytearray(os.urandom(1 << 20) * 8))
    return UNLIMITED


def mapping():
    kept = []
    while len(kept) < MOST // PIECE:
        piece = mmap.mmap(-1, PIECE)
        for page in range(0, PIECE, 4096):
            piece[page] = 1
        kept.append(piece)
    return UNLIMITED


def private_mapping():
    kept = []
    while len(kept) < MOST // PIECE:
        piece = mmap.mmap(-1, PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for page in range(0, PIECE, 4096):
            piece[page] = 1
        kept.append(piece)
    return UNLIMITED


def anonymous_file():
    kept = []
    while len(kept) < MOST // PIECE:
        kept.append(os.memfd_create("more"))
        for _ in range(8):
            os.write(kept[-1], bytes(1 << 20))
    return UNLIMITED


def score():
    """How soon the kernel ends this process when the host's own memory is at its end."""
    with open("/proc/self/oom_score_adj") as file:
        return file.read().strip()
