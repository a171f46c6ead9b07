"""The plain dialect: a function is a service, its parameters are taken by name.

`load` finds the function and compiles how its arguments are bound; `Handler.start` runs one call.
Types are in convert.py, results in reply.py, where the function is found in entry.py.
"""
import sys

from . import convert, entry
from .context import Context
from .quick_json import encoder, loads
from .reply import Reply
from .wire import Failure

RESERVED = ("event", "context", "body")
POSITIONAL_ONLY, NAMED = 0, 1
COROUTINE, ASYNC_GENERATOR = 0x80, 0x200
VARARGS, VARKEYWORDS = 0x04, 0x08

strictly = encoder(nan=False)


def load(start):
    function = entry.load(start["entry"], start["function"])
    from . import logs

    if "logging" in sys.modules:
        logs.configure_logging()
    return Handler(function, start)


class Parameter:
    __slots__ = ("name", "way", "type", "required", "default", "hint")

    def __init__(self, name, way, hint, required, default):
        self.name, self.way, self.hint, self.required, self.default = name, way, hint, required, default
        self.type = convert.by_default(default) if hint is None and not required else convert.compile(object if hint is None else hint)


class Handler:
    def __init__(self, function, start):
        self.function = function
        self.facts = start.get("function", ""), start.get("version", 0), start.get("namespace", "")
        self.parameters, self.extra, hints, code = parameters_of(function)
        self.named = [p for p in self.parameters if p.name not in RESERVED]
        names = {p.name for p in self.parameters}
        self.takes_event, self.takes_context = "event" in names, "context" in names
        self.body = next((p for p in self.parameters if p.name == "body"), None)
        self.body_as = body_form(self.body.hint) if self.body else None
        self.streams_body = self.body_as == "stream"
        self.is_async = is_async(function, code)
        self.reply = Reply(self.is_async)
        self.signature = self.sign(hints)

    def start(self, head, body):
        head = loads(head.decode())
        positional, named = self.bind(head, body)
        result = self.function(*positional, **named)
        return self.reply.encode_later(result) if self.is_async else self.reply.encode(result)

    # -- arguments

    def bind(self, head, body):
        query = head.get("query")
        query = parse_query(query) if query else {}
        path = dict(head["params"]) if head.get("params") else {}
        values, unfilled = {}, None
        for p in self.named:
            name = p.name
            if name in path:
                values[name] = take(p, p.type.text, path[name])
            elif name in query:
                values[name] = take(p, p.type.text, query[name] if p.type.many else query[name][-1])
            elif unfilled is None:
                unfilled = [p]
            else:
                unfilled.append(p)
        if (unfilled or self.extra) and body and not self.streams_body:
            fields = self.from_body(head.get("type", ""), body, unfilled or (), values)
        else:
            fields = {}
            for p in unfilled or ():
                if p.required:
                    raise missing(p)
        if self.extra:
            known = {p.name for p in self.parameters if p.way == NAMED}
            for source in (fields, {k: convert.guess(v[-1]) for k, v in query.items()}, {k: convert.guess(v) for k, v in path.items()}):
                values.update((k, v) for k, v in source.items() if k not in known)
        if len(self.named) != len(self.parameters):
            self.add_reserved(values, head, body)
        return self.order(values)

    def order(self, values):
        if not self.parameters or self.parameters[0].way != POSITIONAL_ONLY:
            return (), values
        positional = []
        for p in self.parameters:
            if p.way == POSITIONAL_ONLY:
                positional.append(values.pop(p.name) if p.name in values else p.default)
        return positional, values

    def from_body(self, content_type, body, unfilled, values):
        """Fills from the body, and gives its fields for **kwargs."""
        from . import form

        kind, fields = form.read(content_type, body, bool(unfilled))
        found = fields if kind in ("object", "form") else {}
        missed = []
        for p in unfilled:
            if p.name not in found:
                missed.append(p)
            elif kind == "object":
                values[p.name] = take(p, p.type.json, found[p.name])
            elif p.type.many:
                values[p.name] = take(p, p.type.text, found[p.name])
            else:
                part = found[p.name][-1]
                values[p.name] = take(p, p.type.text if type(part) is str else p.type.json, part)
        required = [p for p in missed if p.required]
        if len(required) == 1 and (kind == "value" or kind == "object" and required[0].type.whole):
            values[required[0].name] = take(required[0], required[0].type.json, fields)
        elif required:
            raise missing(required[0])
        if kind == "form":
            return {k: convert.guess(v[-1]) if type(v[-1]) is str else v[-1] for k, v in found.items()}
        return found

    def add_reserved(self, values, head, body):
        if self.takes_context:
            values["context"] = Context(head, self.facts)
        if self.takes_event:
            values["event"] = event_of(head, body if type(body) is bytes else None)
        if self.body:
            values["body"] = self.body_value(head, body)

    def body_value(self, head, body):
        if self.body_as == "stream":
            return body if type(body) is not bytes else whole_as_stream(body, self.is_async)
        if self.body_as == "bytes":
            return body
        if not body and not self.body.required:
            return self.body.default
        if self.body_as == "text":
            return as_text(body)
        from . import form

        try:
            value = convert.parse_json(as_text(body)) if body else None
        except ValueError as error:
            raise Failure("body-invalid", form.not_json(body, error)) from None
        return take(self.body, self.body.type.json, value)

    # -- what it takes

    def sign(self, hints):
        listed = []
        for p in self.parameters:
            one = {"name": p.name, "type": "" if p.type.kind == "null" else p.type.kind, "required": p.required and p.name not in RESERVED}
            if p.name == "body" and self.body_as in ("bytes", "stream"):
                one["type"] = "string"
            if not p.required:
                try:
                    one["default"] = loads(strictly(p.default))
                except (TypeError, ValueError):
                    pass
            listed.append(one)
        doc = getattr(self.function, "__doc__", None)
        doc = " ".join(doc.strip().split("\n\n")[0].split()) if type(doc) is str else ""
        returns = name_of(hints["return"], underlying(self.function)) if "return" in hints else ""
        return {"parameters": listed, "returns": returns, "doc": doc[:1000]}


def take(parameter, way, value):
    try:
        return way(value)
    except convert.Unfit as unfit:
        where = parameter.name + unfit.where
        raise Failure("argument-invalid", 'the argument "%s" is %s, wanted %s' % (where, unfit.found, unfit.wanted)) from None


def missing(parameter):
    return Failure("argument-missing", 'the argument "%s" is missing, wanted %s' % (parameter.name, parameter.type.wanted))


def parse_query(query):
    from_percent = None
    found = {}
    for pair in query.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            if from_percent is None:
                from urllib.parse import unquote_plus as from_percent
            name, value = from_percent(name), from_percent(value)
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found


def as_text(body):
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Failure("body-invalid", "the body is not UTF-8: %s" % error) from None


def event_of(head, body):
    event = head.get("event") or {}
    kind = head.get("type", "").partition(";")[0].strip().lower()
    if body is None:
        return event
    event["data"] = body
    if not body:
        event["data"] = None
    elif kind == "application/json" or kind.endswith("+json"):
        try:
            event["data"] = convert.parse_json(body.decode())
        except ValueError:
            # The function sees what came; it may know better than the content type.
            pass
    elif kind.startswith("text/"):
        event["data"] = body.decode("utf-8", "replace")
    return event


def body_form(hint):
    if hint is None or hint in (bytes, object):
        return "bytes"
    if hint is str:
        return "text"
    origin = getattr(hint, "__origin__", hint)
    if getattr(origin, "__name__", "") in ("Iterator", "Iterable", "AsyncIterator", "AsyncIterable", "Generator", "AsyncGenerator"):
        return "stream"
    return "json"


def whole_as_stream(body, is_async):
    if not is_async:
        return iter((body,) if body else ())

    async def chunks():
        if body:
            yield body

    return chunks()


def underlying(function):
    """The function whose parameters count: that below decorators which say what they wrap."""
    for _ in range(100):
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            return function
        function = inner
    return function


def parameters_of(function):
    inner, skip = underlying(function), 0
    if hasattr(inner, "__func__"):
        inner, skip = inner.__func__, 1
    code = getattr(inner, "__code__", None)
    if code is None:
        return parameters_by_inspection(function)
    hints = convert.hints_of(inner)
    names = code.co_varnames
    count, positional_only = code.co_argcount, code.co_posonlyargcount
    defaults = inner.__defaults__ or ()
    with_default = dict(zip(names[count - len(defaults):count], defaults))
    with_default.update(inner.__kwdefaults__ or {})
    found = []
    for i, name in enumerate(names[:count + code.co_kwonlyargcount]):
        if i >= skip:
            way = POSITIONAL_ONLY if i < positional_only else NAMED
            found.append(Parameter(name, way, hints.get(name), name not in with_default, with_default.get(name)))
    return found, bool(code.co_flags & VARKEYWORDS), hints, code


def parameters_by_inspection(function):
    """Classes with __call__, partials and built-ins: rare, and worth the slow import."""
    import inspect

    found, extra = [], False
    hints = convert.hints_of(getattr(function, "func", None) or getattr(type(function), "__call__", function))
    for p in inspect.signature(function).parameters.values():
        if p.kind == p.VAR_KEYWORD:
            extra = True
        elif p.kind != p.VAR_POSITIONAL:
            way = POSITIONAL_ONLY if p.kind == p.POSITIONAL_ONLY else NAMED
            required = p.default is p.empty
            found.append(Parameter(p.name, way, hints.get(p.name), required, None if required else p.default))
    call = getattr(getattr(function, "func", None) or getattr(type(function), "__call__", None), "__code__", None)
    return found, extra, hints, call


def is_async(function, code):
    for candidate in (getattr(function, "__code__", None), code):
        if candidate is not None and candidate.co_flags & (COROUTINE | ASYNC_GENERATOR):
            return True
    return False


def name_of(hint, function):
    """As the code words it."""
    worded = (getattr(function, "__annotations__", None) or {}).get("return")
    if type(worded) is str:
        return worded
    if isinstance(hint, type) and not hasattr(hint, "__args__"):
        return "None" if hint is type(None) else hint.__name__
    return str(hint).replace("typing.", "")
