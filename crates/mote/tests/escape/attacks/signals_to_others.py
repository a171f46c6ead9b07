"""Signals to whoever does not belong to this function."""

import os
import signal

from kit import attempts


def run(server):
    def ended_init():
        os.kill(1, signal.SIGKILL)
        # Init takes no signal from its own children, so that it is sent says nothing.
        os.kill(1, 0)
        raise PermissionError("it lives")

    return attempts(
        init=(ended_init,),
        server=(os.kill, int(server), signal.SIGKILL),
        group_of_server=(os.killpg, int(server), signal.SIGKILL),
        somebody=(os.kill, 2_000_000, signal.SIGKILL),
    )


def everybody():
    os.kill(-1, signal.SIGKILL)
