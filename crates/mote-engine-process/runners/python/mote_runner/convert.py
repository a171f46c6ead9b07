"""From the text or JSON of an argument to the type that a parameter's hint names.

`compile(hint)` looks at a hint once and gives a `Type`: two functions, `text` and `json`, that
raise `Unfit` for what the type can't take. Types with parts (lists, unions, dataclasses, enums)
are in convert_more.py, which is read only if a function uses one.
"""
import sys

from . import quick_json

DIGITS_MAX = 4300


class Unfit(ValueError):
    """`found` and `wanted` are worded for the caller; `where` leads to the part of the value."""

    def __init__(self, found, wanted, where=""):
        super().__init__(wanted)
        self.found, self.wanted, self.where = found, wanted, where


class Type:
    """`kind` is a JSON Schema type or empty; `many` says that a repeated text is one list."""

    __slots__ = ("kind", "wanted", "text", "json", "many", "whole", "exact")

    def __init__(self, kind, wanted, text, json, many=False, whole=False, exact=()):
        self.kind, self.wanted, self.text, self.json = kind, wanted, text, json
        self.many, self.whole, self.exact = many, whole, exact


plainly = quick_json.encoder(ascii=False)


def show(value):
    """A value in an error message, kept short."""
    try:
        text = plainly(value)
    except (TypeError, ValueError):
        return "bytes" if isinstance(value, (bytes, bytearray)) else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


# -- JSON of a caller

def constant(name):
    raise ValueError("it holds %s" % name)


strict = quick_json.decoder(constant)


def parse_json(text):
    """Raises ValueError for all that is not JSON: Python's own decoder takes NaN, and fails in
    another way where the nesting is too deep."""
    try:
        return strict(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


# -- text that no hint speaks about

CONSTANTS = {"true": True, "false": False, "null": None}
number = quick_json.decoder(constant, worded=False)


def guess(text):
    """The value of which `text` is exactly the canonical JSON, if that is a number or a constant."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text and text[0] in "-0123456789" and len(text) <= 400:
        try:
            value = number(text)
        except ValueError:
            return text
        if quick_json.dumps(value) == text:
            return value
    return text


def same(value):
    return value


# -- scalars

def integer_text(text):
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > DIGITS_MAX:
        raise Unfit(show(text), "an integer")
    return int(text)


def integer_json(value):
    if type(value) is int:
        return value
    if type(value) is str:
        return integer_text(value)
    if type(value) is float and value.is_integer():
        return int(value)
    raise Unfit(show(value), "an integer")


def number_text(text):
    if "_" in text or text != text.strip():
        raise Unfit(show(text), "a number")
    try:
        return float(text)
    except ValueError:
        raise Unfit(show(text), "a number") from None


def number_json(value):
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise Unfit(show(value), "a number that a float can hold") from None
    if type(value) is str:
        return number_text(value)
    raise Unfit(show(value), "a number")


def either_text(text):
    """For a parameter whose default is an int, and that has no hint: 1.5 is as good as 2."""
    try:
        return integer_text(text)
    except Unfit:
        return number_text(text)


def either_json(value):
    return value if type(value) is int else number_json(value) if type(value) is float else either_text_of(value)


def either_text_of(value):
    if type(value) is str:
        return either_text(value)
    raise Unfit(show(value), "a number")


BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def boolean_text(text):
    value = BOOLEANS.get(text.lower())
    if value is None:
        raise Unfit(show(text), "a boolean (true or false)")
    return value


def boolean_json(value):
    if type(value) is bool:
        return value
    if type(value) is str or type(value) is int:
        return boolean_text(str(value))
    raise Unfit(show(value), "a boolean (true or false)")


def string_json(value):
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Unfit("bytes that are not UTF-8", "text") from None
    raise Unfit(show(value), "a string")


def bytes_json(value):
    if isinstance(value, bytes):
        return value
    if type(value) is str:
        return value.encode()
    raise Unfit(show(value), "bytes")


def null_text(text):
    if text in ("", "null"):
        return None
    raise Unfit(show(text), "null")


def null_json(value):
    if value is None:
        return None
    raise Unfit(show(value), "null")


ANY = Type("", "a value", guess, same)
STRING = Type("string", "a string", same, string_json, exact=(str,))
NUMBER = Type("number", "a number", number_text, number_json, exact=(float, int))
NONE = Type("null", "null", null_text, null_json, exact=(type(None),))
NUMBER_BY_DEFAULT = Type("number", "a number", either_text, either_json, exact=(int, float))

SCALARS = {
    int: Type("integer", "an integer", integer_text, integer_json, exact=(int,)),
    float: NUMBER,
    bool: Type("boolean", "a boolean (true or false)", boolean_text, boolean_json, exact=(bool,)),
    str: STRING,
    bytes: Type("string", "bytes", str.encode, bytes_json, exact=(bytes,)),
    type(None): NONE,
    object: ANY,
}
NAMES = {"int": int, "float": float, "bool": bool, "str": str, "bytes": bytes, "None": type(None), "object": object}


def compile(hint):
    """Never fails: a hint that can't be understood asks for nothing."""
    try:
        scalar = SCALARS.get(hint)
    except TypeError:
        scalar = None
    if scalar is not None:
        return scalar
    if hint is None:
        return NONE
    from . import convert_more

    return convert_more.compile(hint)


def by_default(value):
    if type(value) is int:
        return NUMBER_BY_DEFAULT
    if value is None:
        return ANY
    return compile(type(value)) if type(value) in (float, bool, str, bytes, list, dict) else ANY


def hints_of(function):
    """Annotations with their strings resolved, one by one: a bad one must not cost the others."""
    try:
        found = dict(getattr(function, "__annotations__", None) or {})
    except Exception:
        # 3.14 evaluates them only now, and a name may exist for type checkers alone.
        return {}
    for name, hint in found.items():
        if type(hint) is str:
            found[name] = NAMES[hint] if hint in NAMES else resolve(hint, function)
    return found


def resolve(text, function):
    import typing

    scope = dict(vars(sys.modules.get("builtins")))
    scope.update(vars(typing))
    scope.update(getattr(function, "__globals__", None) or vars(sys.modules.get(getattr(function, "__module__", ""), typing)))
    try:
        return eval(text, scope)
    except TypeError:
        # `int | None` before Python 3.10.
        try:
            return typing.Union[tuple(eval(part, scope) for part in text.split("|"))]
        except Exception:
            return object
    except Exception:
        return object
