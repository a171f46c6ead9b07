"""Arguments and an environment beyond what a program may be given."""

import os

from kit import attempts


def run():
    return attempts(
        one_argument=(os.execve, "/bin/true", ["true", "x" * (1 << 20)], {}),
        many_arguments=(os.execve, "/bin/true", ["true"] + ["x" * 100_000] * 100, {}),
        one_variable=(os.execve, "/bin/true", ["true"], {"X": "x" * (1 << 20)}),
    )
