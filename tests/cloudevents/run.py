"""The published CloudEvents SDKs against a server: `python tests/cloudevents/run.py --public URL --control URL --token T --modules FOLDER`.

Needs `requirements.txt`, Node, a `node_modules` with `cloudevents` in the folder, and the function of
`echo/` deployed. What it prints: `../harness.py`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402


def world(options, language):
    from sdk import JavaScript, Python
    from world import World

    sdk = Python() if language == "Python" else JavaScript(options.modules)
    return World(sdk, options.public, options.control, options.token)


def languages(name):
    """Both SDKs, unless the case is named for one."""
    return ["Python"] if name.endswith("_in_python") else ["Python", "JavaScript"]


if __name__ == "__main__":
    sys.exit(harness.main(__file__, __doc__, ["--public", "--control", "--token", "--modules"], world, languages))
