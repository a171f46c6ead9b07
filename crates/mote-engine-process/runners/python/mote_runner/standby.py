"""What a runner does that was started before there is a function for it, and how it takes one.

It imports what most functions need. None of that may change what a function sees: a file of the
function's own that has the name of such a module wins, as it would have; and as whoever has
imported `logging` gets it configured, that and what imports it is handed out only when asked for.
"""
import importlib.machinery
import os
import select
import sys

from .entry import names_brought

# In the order of use: it stops as soon as a function has come.
OPEN = (
    "json", "inspect", "typing", "heapq", "atexit", "datetime", "dataclasses", "decimal", "uuid", "base64", "hashlib", "random", "threading", "tempfile",
    "urllib.parse", "contextvars", "string", "weakref", "traceback", "selectors", "socket", "subprocess", "signal", "ssl", "http.client",
)
HELD = ("logging", "concurrent.futures", "asyncio")


class Standby:
    def __init__(self, descriptor):
        self.start = select.poll()
        self.start.register(descriptor, select.POLLIN)
        self.loaded = set()
        self.held = {}
        self.preload()

    def preload(self):
        # What a runner has imported before any function's code, standby or not.
        from . import plain  # noqa: F401

        before = set(sys.modules)
        for name in OPEN:
            if self.start.poll(0):
                break
            __import__(name)
        self.loaded = set(sys.modules) - before
        if self.start.poll(0):
            return
        before = set(sys.modules)
        for name in HELD:
            __import__(name)
        self.held = {name: sys.modules.pop(name) for name in list(sys.modules) if name not in before}

    def take(self, env):
        """The function has come: its files are at /code by now."""
        os.environ.clear()
        os.environ.update(env)
        os.chdir("/code")

    def yield_to(self, entry):
        """Forgets the modules if the function brings one of its own by such a name."""
        names = {name.partition(".")[0] for name in (*self.loaded, *self.held)}
        if not names.isdisjoint(names_brought(entry)):
            for name in self.loaded:
                sys.modules.pop(name, None)
        elif self.held:
            sys.meta_path.insert(0, Held(self.held))


class Held:
    """Finds the held modules: all of them as soon as one is wanted."""

    def __init__(self, modules):
        self.modules = modules

    def find_spec(self, name, path=None, target=None):
        if name not in self.modules:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        sys.meta_path.remove(self)
        module = self.modules[spec.name]
        self.own = module.__spec__
        return module

    def exec_module(self, module):
        # The import system has put its own words into the module; it was imported before.
        module.__spec__ = self.own
        sys.modules.update(self.modules)
