"""Poisons everything that a later call in the same process would use."""

import builtins
import json
import os
import sys


def poison():
    builtins.poisoned = True
    os.environ["POISONED"] = "1"
    json.dumps = lambda *_, **__: '"poisoned"'
    sys.path.insert(0, "/tmp")
    for place in ("/tmp/sitecustomize.py", "/tmp/json.py"):
        with open(place, "w") as file:
            file.write("import builtins; builtins.poisoned = True\n")
    return "done"


def look():
    signs = [hasattr(builtins, "poisoned"), "POISONED" in os.environ, "/tmp" in sys.path, bool(os.listdir("/tmp"))]
    return f"poisoned: {signs}" if any(signs) else "clean"
