"""From what a function gave to a reply: head (JSON) and body (bytes, or chunks of them)."""
import sys

from .quick_json import encoder
from .wire import Failure, to_json

TEXT, BYTES, JSON, LINES = "text/plain; charset=utf-8", "application/octet-stream", "application/json", "application/x-ndjson"


def head_of(type, status=200, headers=()):
    return to_json({"status": status, "type": type, "headers": headers})


HEADS = {type: head_of(type) for type in (TEXT, BYTES, JSON, LINES)}
ENDLESS = (str, bytes, bytearray, memoryview, dict, list, tuple, set, frozenset)


class Reply:
    def __init__(self, is_async):
        self.is_async = is_async
        self.loop = None

    async def encode_later(self, result):
        if hasattr(result, "__await__"):
            result = await result
        if hasattr(result, "__aiter__"):
            return await stream_async(result)
        if whole(result) and hasattr(result.get("body"), "__aiter__"):
            return await stream_async(result["body"], result)
        return self.encode(result)

    def encode(self, result):
        kind = type(result)
        if kind is float or kind is int or kind is dict and "status" not in result:
            return HEADS[JSON], encode_json(result)
        if kind is str:
            return HEADS[TEXT], encode_text(result)
        if whole(result):
            return self.encode_whole(result)
        if not self.is_async and (hasattr(result, "__await__") or hasattr(result, "__aiter__")):
            return self.encode_awaited(result)
        if is_stream(result):
            return stream(result)
        type_, body = encode_value(result)
        return HEADS[type_], body

    def encode_whole(self, result):
        body = result.get("body")
        if not self.is_async and hasattr(body, "__aiter__"):
            body = from_async(self.own_loop(), body)
        if is_stream(body):
            return stream(body, result)
        type_, content = (TEXT, b"") if body is None else encode_value(body)
        return whole_head(result, type_), content

    def encode_awaited(self, result):
        """A plain `def` that gave a coroutine or an async generator: run it here and now."""
        loop = self.own_loop()
        if hasattr(result, "__await__"):
            return self.encode(loop.run_until_complete(awaited(result)))
        return stream(from_async(loop, result))

    def own_loop(self):
        import asyncio

        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        return self.loop


async def awaited(result):
    return await result


def from_async(loop, chunks):
    iterator = chunks.__aiter__()
    while True:
        try:
            yield loop.run_until_complete(awaited(iterator.__anext__()))
        except StopAsyncIteration:
            return


def is_stream(value):
    return hasattr(value, "__next__") and hasattr(value, "__iter__")


def encode_value(value):
    if isinstance(value, str):
        return TEXT, encode_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BYTES, bytes(value)
    return JSON, encode_json(value)


def encode_text(text):
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Failure("reply-invalid", "the text can't be sent as UTF-8: %s" % error) from None


# -- the whole reply

def whole(result):
    """`{status, headers?, body?}` and nothing else."""
    if not isinstance(result, dict) or "status" not in result or len(result) < 2:
        return False
    status = result["status"]
    if type(status) is not int and not hasattr(status, "phrase") or not 100 <= status <= 599:
        return False
    return all(key in ("status", "headers", "body") for key in result)


def whole_head(result, type_):
    headers, listed = result.get("headers") or {}, []
    try:
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        for name, values in pairs:
            for value in values if isinstance(values, (list, tuple)) else (values,):
                listed.append([text_of(name), text_of(value)])
    except (TypeError, ValueError):
        raise Failure("reply-invalid", "`headers` is neither a dict nor a list of pairs of text") from None
    for pair in listed:
        if pair[0].lower() == "content-type":
            type_ = pair[1]
    return head_of(type_, int(result["status"]), [p for p in listed if p[0].lower() != "content-type"])


def text_of(value):
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if any(c in text for c in "\r\n\0"):
        raise Failure("reply-invalid", "a header of the reply holds a line break")
    return text


# -- streams

def line_or_piece(item, lines):
    """A chunk's bytes; what is neither text nor bytes is a line of JSON."""
    if lines:
        return encode_json(item) + b"\n"
    return encode_text(item) if isinstance(item, str) else bytes(item) if isinstance(item, (bytes, bytearray, memoryview)) else encode_json(item)


def opening(first, result):
    lines = not isinstance(first, (str, bytes, bytearray, memoryview))
    type_ = LINES if lines else TEXT if isinstance(first, str) else BYTES
    return (whole_head(result, type_) if result is not None else HEADS[type_]), lines


def empty(result):
    return (whole_head(result, BYTES) if result is not None else HEADS[BYTES]), b""


def stream(items, result=None):
    """The first item is taken before the head is sent: what fails at once is a clean failure."""
    for first in items:
        head, lines = opening(first, result)
        return head, rest_of(items, line_or_piece(first, lines), lines)
    return empty(result)


def rest_of(items, first, lines):
    try:
        yield first
        for item in items:
            yield line_or_piece(item, lines)
    finally:
        close = getattr(items, "close", None)
        if close:
            close()


async def stream_async(items, result=None):
    iterator = items.__aiter__()
    try:
        first = await iterator.__anext__()
    except StopAsyncIteration:
        return empty(result)
    head, lines = opening(first, result)
    return head, rest_of_async(iterator, line_or_piece(first, lines), lines)


async def rest_of_async(iterator, first, lines):
    try:
        yield first
        async for item in iterator:
            yield line_or_piece(item, lines)
    finally:
        close = getattr(iterator, "aclose", None)
        if close:
            await close()


# -- JSON

def encode_json(value):
    try:
        return compact(value).encode()
    except TypeError as error:
        raise Failure("reply-invalid", "the result can't be sent as JSON: %s" % error) from None
    except (ValueError, RecursionError) as error:
        what = "NaN and Infinity have no JSON" if "JSON compliant" in str(error) else str(error)
        raise Failure("reply-invalid", "the result can't be sent as JSON: %s" % what) from None


def other(value):
    """What the json module asks about a value that it does not know."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        # Not all that `__dataclass_fields__` names: it lists ClassVar and InitVar as well.
        import dataclasses

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return list(value)
    name = type(value).__module__, type(value).__name__
    if name[0] == "datetime" and hasattr(value, "isoformat"):
        return value.isoformat()
    if name == ("datetime", "timedelta"):
        return value.total_seconds()
    if name == ("decimal", "Decimal"):
        if not value.is_finite():
            raise ValueError("JSON compliant")
        return int(value) if value == value.to_integral_value() and abs(value.adjusted()) < 300 else float(value)
    if name == ("uuid", "UUID"):
        return str(value)
    enum = sys.modules.get("enum")
    if enum and isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("bytes inside a JSON value; encode them, or return them alone")
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError("an object of type %s" % type(value).__qualname__)


compact = encoder(",", ":", ascii=False, nan=False, default=other)
