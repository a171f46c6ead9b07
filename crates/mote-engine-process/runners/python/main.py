"""Where the interpreter enters: `python3 -I -S main.py`, the engine's socket on descriptor 3.

Isolated mode keeps the host's own packages out, so a function sees the standard library, its own
files and the dependencies it was deployed with. Next: mote_runner/serve.py.
"""
import sys

sys.path.insert(0, sys.argv[0].rpartition("/")[0] or ".")
from mote_runner import serve  # noqa: E402

del sys.path[0]
serve.main()
