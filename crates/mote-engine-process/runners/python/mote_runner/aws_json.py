"""JSON as AWS's Python runtime reads and writes it.

Like the standard module, but a named tuple is an object, a `Decimal` the number as it is written, and
bytes inside of something are text.
"""
from json import JSONEncoder, loads  # noqa: F401

plain_ascii = JSONEncoder().encode
plain_text = JSONEncoder(ensure_ascii=False).encode


def dumps(value, ascii):
    encode = plain_ascii if ascii else plain_text
    if is_plain(value, 0):
        return encode(value)
    return "".join(pieces(value, encode, set()))


DEPTH_MAX = 64


def is_plain(value, depth):
    """Whether the standard encoder writes all of it as AWS does. What is deep is looked at by the other one."""
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        return True
    if depth > DEPTH_MAX:
        return False
    if kind is dict:
        return all(is_plain(inner, depth + 1) for inner in value.values())
    if kind is list or kind is tuple:
        return all(is_plain(inner, depth + 1) for inner in value)
    return False


def pieces(value, encode, above):
    if isinstance(value, (dict, list, tuple)):
        if id(value) in above:
            raise ValueError("Circular reference detected")
        above = above | {id(value)}
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            value = value._asdict()
        if isinstance(value, dict):
            yield "{"
            between = ""
            for key, inner in value.items():
                # The encoder words a key that is no text, and refuses what can't be one.
                yield between + encode({key: 0})[1:-1].rpartition(": ")[0] + ": "
                yield from pieces(inner, encode, above)
                between = ", "
            yield "}"
        else:
            yield "["
            between = ""
            for inner in value:
                yield between
                yield from pieces(inner, encode, above)
                between = ", "
            yield "]"
    elif isinstance(value, bytes):
        yield encode(value.decode("utf-8"))
    elif type(value).__name__ == "Decimal" and type(value).__module__ in ("decimal", "_decimal", "_pydecimal"):
        yield str(value)
    else:
        yield encode(value)
