"""Deploy tools and SDKs of others, unmodified: `python tests/clients/run.py --endpoint URL --sam PROGRAM …`.

Needs `requirements.txt` beside this Python, a server that believes any key of this machine (`--aws-keys
local`), and the tools that its options name. What it prints: `../harness.py`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402

NEEDED = [
    "--endpoint",
    "--sam",  # the program `sam`
    "--cargo-lambda",  # the program `cargo-lambda`
    "--bootstrap",  # a Linux program on a published runtime client, which answers F = (A + B) * C
    "--mote",  # the program `mote`
    "--public",  # the server's other doors, and a token of its
    "--control",
    "--token",
    "--modules",  # a folder whose `node_modules` has osls and the SDK for JavaScript
]


def world(options, _):
    from world import World

    return World(options)


if __name__ == "__main__":
    sys.exit(harness.main(__file__, __doc__, NEEDED, world))
