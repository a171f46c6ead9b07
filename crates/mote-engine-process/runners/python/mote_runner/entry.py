"""Finds the function that an entry names: `file.py` or `file.py:function`."""
import os
import sys

from .wire import Failure

# What the runner may import late, and what that is made of.
LATE = frozenset((
    "collections", "copyreg", "enum", "functools", "inspect", "json", "keyword", "operator", "re", "reprlib", "sre_compile", "sre_constants",
    "sre_parse", "types", "typing",
))


def names_brought(path):
    """By which the function's own files can be imported."""
    folder = os.path.dirname(path)
    for place in {".", folder or ".", os.path.join(".mote", "site-packages")}:
        if os.path.isdir(place):
            for name in os.listdir(place):
                yield name.partition(".")[0]


def keep_standard(path):
    """No file of the function's is to come between the runner and the standard library."""
    if not LATE.isdisjoint(names_brought(path)):
        import json  # noqa: F401


def load(entry, deployed_as):
    path, _, wanted = entry.partition(":")
    root = os.getcwd()
    packages = os.path.join(root, ".mote", "site-packages")
    module = import_file(root, path, packages)
    if wanted:
        return named(module, path, wanted)
    return only(module, path, deployed_as)


def import_file(root, path, packages):
    """Imports as Python itself would if the file were the program: its folder comes first."""
    full = os.path.join(root, path)
    folder, file = os.path.split(full)
    stem = file[:-3] if file.endswith(".py") else file
    if not os.path.isfile(full):
        raise Failure("", "there is no file %r in the bundle" % path, "EntryNotFound")
    package = []
    while folder != root and os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        package.insert(0, name)
    if os.path.isdir(packages):
        sys.path.insert(0, packages)
        if any(name.endswith(".pth") for name in os.listdir(packages)):
            import site

            site.addsitedir(packages)
    for place in (root, folder) if folder != root else (root,):
        sys.path.insert(0, place)
    module = None
    dotted = ".".join(package + [stem])
    if dotted not in sys.modules and "." not in stem:
        __import__(dotted)
        module = sys.modules[dotted]
    if module is None or os.path.realpath(getattr(module, "__file__", None) or "") != os.path.realpath(full):
        # Its name is taken by a built-in module, or is not one that `import` can say.
        import importlib.util

        spec = importlib.util.spec_from_file_location("mote_entry", full)
        module = sys.modules["mote_entry"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def named(module, path, wanted):
    found = module
    for part in wanted.split("."):
        found = getattr(found, part, None)
    if callable(found):
        return found
    what = "has no %r" % wanted if found is None else "has %r, but it is no function" % wanted
    raise Failure("", "%s %s; its functions are: %s" % (path, what, listed(functions(module))), "EntryNotFound")


def only(module, path, deployed_as):
    stem = os.path.basename(path)[:-3]
    for name in (stem, deployed_as, "handler", "main"):
        found = getattr(module, name.replace("-", "_"), None)
        if callable(found) and not isinstance(found, type):
            return found
    found = functions(module)
    if len(found) == 1:
        return getattr(module, found[0])
    problem = "defines several functions (%s)" % listed(found) if found else "defines no function"
    advice = 'name the one to call in mote.toml with entry = "%s:%s"' % (path, found[0] if found else "function")
    raise Failure("", "%s %s; %s" % (path, problem, advice), "EntryNotFound")


def functions(module):
    """The public functions that the module itself defines."""
    own = []
    for name, value in vars(module).items():
        if not name.startswith("_") and callable(value) and not isinstance(value, type):
            if getattr(value, "__module__", None) == module.__name__:
                own.append(name)
    return own


def listed(names):
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
