"""AWS's published runtime clients and mote's own runners on the same handlers: `python tests/aws-contract/run.py --runners FOLDER --node3 FOLDER --node4 FOLDER`.

Needs `requirements.txt`, Node, and `node_modules` with `aws-lambda-ric` 3.3.0 and 4.0.2 in the two
folders; the runners are those of `crates/mote-engine-process/runners`. No server: what a handler's
answer becomes on its way to a caller is held elsewhere. What it prints: `../harness.py`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402


def world(options, runtime):
    from world import World

    return World(runtime, pathlib.Path(options.runners), {"3": options.node3, "4": options.node4})


def runtimes(name):
    """Those whose behaviour a case is about, by the end of its name."""
    if name.endswith("_in_python"):
        return ["python3.11", "python3.12"]
    if name.endswith("_with_callbacks"):
        return ["nodejs20.x"]
    if name.endswith("_without_callbacks"):
        return ["nodejs24.x"]
    return ["nodejs20.x", "nodejs24.x"]


if __name__ == "__main__":
    sys.exit(harness.main(__file__, __doc__, ["--runners", "--node3", "--node4"], world, runtimes))
