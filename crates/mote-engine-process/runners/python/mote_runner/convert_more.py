"""Conversion to types that have parts: see convert.py, which this completes."""
import collections.abc
import sys
import typing

from .convert import ANY, SCALARS, Type, Unfit, hints_of, parse_json, show
from .convert import compile as compile_any

SEQUENCES = {
    list: list, tuple: tuple, set: set, frozenset: frozenset,
    collections.abc.Sequence: list, collections.abc.MutableSequence: list, collections.abc.Collection: list,
    collections.abc.Iterable: list, collections.abc.Set: set, collections.abc.MutableSet: set,
}
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def compile(hint):
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if hint is typing.Any or isinstance(hint, typing.TypeVar):
        return ANY
    if hasattr(hint, "__metadata__"):
        return compile_any(hint.__origin__)
    if hasattr(hint, "__supertype__"):
        return compile_any(hint.__supertype__)
    if hasattr(hint, "__value__") and type(hint).__name__ == "TypeAliasType":
        return compile_any(hint.__value__)
    if type(hint) in (str, typing.ForwardRef):
        return ANY
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        return union([compile_any(argument) for argument in arguments])
    if origin is typing.Literal:
        return literal(arguments)
    if (origin or hint) in SEQUENCES:
        return sequence(SEQUENCES[origin or hint], arguments)
    if (origin or hint) in MAPPINGS:
        return mapping(arguments)
    return by_class(hint) if isinstance(hint, type) else ANY


def by_class(hint):
    if hasattr(hint, "model_validate"):
        return model(hint)
    if hasattr(hint, "__dataclass_fields__"):
        return dataclass(hint)
    if issubclass(hint, dict) and hasattr(hint, "__total__"):
        return typed_dict(hint)
    module = sys.modules.get("enum")
    if module and issubclass(hint, module.Enum):
        return enumeration(hint)
    name = hint.__module__, hint.__name__
    if name in (("datetime", "datetime"), ("datetime", "date"), ("datetime", "time")):
        return moment(hint)
    if name == ("decimal", "Decimal"):
        return decimal(hint)
    if name == ("uuid", "UUID"):
        return parsed(hint, "a UUID", hint)
    return ANY


# -- from one text

def parsed(hint, wanted, parse, kind="string", accept=()):
    def from_text(text):
        try:
            return parse(text)
        except (ValueError, ArithmeticError, TypeError, AttributeError):
            raise Unfit(show(text), wanted) from None

    def from_json(value):
        if type(value) is str or type(value) in accept:
            return from_text(value if type(value) is str else str(value))
        raise Unfit(show(value), wanted)

    return Type(kind, wanted, from_text, from_json)


def moment(hint):
    wanted = {"datetime": "a date and time (2024-12-31T23:59:59Z)", "date": "a date (2024-12-31)", "time": "a time (23:59:59)"}

    def parse(text):
        # Before 3.11 the parser does not know `Z`.
        return hint.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)

    return parsed(hint, wanted[hint.__name__], parse)


def decimal(hint):
    return parsed(hint, "a decimal number", lambda text: hint(text.replace("_", "?")), "number", (int, float))


# -- one of several

def union(types):
    inner = [t for t in types if t.kind != "null"]
    optional = len(inner) < len(types)
    wanted = " or ".join(dict.fromkeys(t.wanted for t in inner)) + (" or null" if optional else "")
    if any(t is ANY for t in inner):
        return ANY
    textual = any(t.kind == "string" and str in t.exact for t in inner)

    def first(value, way):
        deeper = None
        for t in inner:
            try:
                return getattr(t, way)(value)
            except Unfit as unfit:
                deeper = deeper or (unfit if unfit.where else None)
        raise deeper or Unfit(show(value), wanted)

    def from_text(text):
        if optional and not textual and text in ("", "null"):
            return None
        # Text is what every text is: the other members get the first look.
        for t in sorted(inner, key=lambda t: str in t.exact):
            try:
                return t.text(text)
            except Unfit:
                pass
        raise Unfit(show(text), wanted)

    def from_json(value):
        if value is None and optional:
            return None
        for t in inner:
            if type(value) in t.exact:
                return t.json(value)
        return first(value, "json")

    kinds = {t.kind for t in inner}
    kind = kinds.pop() if len(kinds) == 1 else ""
    return Type(kind, wanted, from_text, from_json, many=any(t.many for t in inner), whole=any(t.whole for t in inner))


def literal(choices):
    return choice({c: c for c in choices}, "one of " + ", ".join(show(c) for c in choices))


def enumeration(hint):
    choices = {}
    for member in hint:
        choices.setdefault(member.name, member)
    for member in hint:
        if isinstance(member.value, (str, int, float, bool)):
            choices[member.value] = member
    shown = [m.value if isinstance(m.value, (str, int, float, bool)) else m.name for m in hint]
    return choice(choices, "one of " + ", ".join(show(c) for c in shown), [m.value for m in hint])


def choice(choices, wanted, values=None):
    kinds = {SCALARS[type(c)].kind if type(c) in SCALARS else "" for c in (values if values is not None else choices)}
    spelled = {}
    for key, value in choices.items():
        spelled.setdefault(key if type(key) is str else show(key), value)

    def from_text(text):
        if text not in spelled:
            raise Unfit(show(text), wanted)
        return spelled[text]

    def from_json(value):
        for key, chosen in choices.items():
            if type(key) is type(value) and key == value:
                return chosen
        raise Unfit(show(value), wanted)

    return Type(kinds.pop() if len(kinds) == 1 else "", wanted, from_text, from_json)


# -- with parts

def inside(where, type, value):
    try:
        return type.json(value)
    except Unfit as unfit:
        raise Unfit(unfit.found, unfit.wanted, where + unfit.where) from None


def from_json_text(convert, wanted):
    def from_text(text):
        try:
            value = parse_json(text)
        except ValueError:
            raise Unfit(show(text), wanted) from None
        return convert(value)

    return from_text


def sequence(make, arguments):
    fixed = make is tuple and arguments and arguments[-1] is not Ellipsis
    items = [compile_any(a) for a in arguments if a is not Ellipsis] or [ANY]
    wanted = "an array of %d" % len(items) if fixed else "an array"

    def item(index):
        return items[index] if fixed else items[0]

    def from_json(value):
        if not isinstance(value, (list, tuple)) or fixed and len(value) != len(items):
            raise Unfit(show(value), wanted)
        return make(inside("[%d]" % i, item(i), part) for i, part in enumerate(value))

    def from_text(texts):
        """`texts` is the list of all that came under the name, or one text (of an array, as JSON)."""
        if isinstance(texts, str):
            texts = [texts]
        if len(texts) == 1 and isinstance(texts[0], str) and texts[0].startswith("["):
            return from_json_text(from_json, wanted)(texts[0])
        if fixed and len(texts) != len(items):
            raise Unfit(show(texts), wanted)
        made = []
        for i, text in enumerate(texts):
            try:
                made.append(item(i).text(text) if isinstance(text, str) else item(i).json(text))
            except Unfit as unfit:
                raise Unfit(unfit.found, unfit.wanted, "[%d]%s" % (i, unfit.where)) from None
        return make(made)

    return Type("array", wanted, from_text, from_json, many=True, exact=(list,))


def mapping(arguments):
    key, value = [compile_any(a) for a in arguments] if len(arguments) == 2 else (ANY, ANY)

    def from_json(found):
        if not isinstance(found, dict):
            raise Unfit(show(found), "an object")
        if key is ANY and value is ANY:
            return found
        return {key.text(k) if key is not ANY else k: inside("." + k, value, v) for k, v in found.items()}

    return Type("object", "an object", from_json_text(from_json, "an object"), from_json, whole=True, exact=(dict,))


def record(make, fields, required):
    """`fields`: name → Type."""

    def from_json(found):
        if not isinstance(found, dict):
            raise Unfit(show(found), "an object")
        for name in required:
            if name not in found:
                raise Unfit("nothing", fields[name].wanted, "." + name)
        return make({name: inside("." + name, fields[name], value) for name, value in found.items() if name in fields})

    return Type("object", "an object", from_json_text(from_json, "an object"), from_json, whole=True)


def dataclass(hint):
    import dataclasses

    hints, missing = class_hints(hint), dataclasses.MISSING
    settable = [field for field in dataclasses.fields(hint) if field.init]
    fields = LazyFields({field.name: hints.get(field.name, object) for field in settable})
    required = [f.name for f in settable if f.default is missing and f.default_factory is missing]

    def make(values):
        try:
            return hint(**values)
        except (ValueError, TypeError) as error:
            raise Unfit("an object that %s refuses: %s" % (hint.__name__, error), "a valid " + hint.__name__) from None

    return record(make, fields, required)


def typed_dict(hint):
    hints = class_hints(hint)
    for name, inner in hints.items():
        # Required[…] and NotRequired[…] are wrappers, known by their name alone before 3.11.
        if getattr(typing.get_origin(inner), "_name", "") in ("Required", "NotRequired", "ReadOnly"):
            hints[name] = typing.get_args(inner)[0]
    required = getattr(hint, "__required_keys__", hints if hint.__total__ else ())
    return record(dict, LazyFields(hints), [name for name in hints if name in required])


class LazyFields(dict):
    """name → Type, compiled when first needed: a class may speak of itself."""

    def __getitem__(self, name):
        found = super().__getitem__(name)
        if not isinstance(found, Type):
            found = self[name] = compile_any(found)
        return found


def class_hints(hint):
    try:
        return typing.get_type_hints(hint)
    except Exception:
        found = {}
        for base in reversed(hint.__mro__):
            found.update(hints_of(base))
        return found


def model(hint):
    def validated(value):
        try:
            return hint.model_validate(value)
        except ValueError as error:
            raise Unfit(show(value), "a valid %s: %s" % (hint.__name__, " ".join(str(error).split())[:400])) from None

    return Type("object", "an object", from_json_text(validated, "an object"), validated, whole=True)
