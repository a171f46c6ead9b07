"""Real MQTT clients against a server: `python tests/mqtt/run.py --port P --token T --mote PROGRAM`.

Needs `requirements.txt`, and `mosquitto`, `mosquitto_pub` and `mosquitto_sub` in the PATH. What it
prints: `../harness.py`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402


def world(options, version):
    from world import World

    return World(int(options.port), options.token, version, options.mote)


def versions(name):
    """Both versions of the protocol, unless the case is named for one."""
    return ["5"] if name.endswith("_v5") else ["3.1.1"] if name.endswith("_v3") else ["3.1.1", "5"]


if __name__ == "__main__":
    sys.exit(harness.main(__file__, __doc__, ["--port", "--token", "--mote"], world, versions))
