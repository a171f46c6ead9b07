"""The fields of a request's body: a JSON object, a urlencoded form or a multipart form."""
from .convert import parse_json
from .wire import Failure

PARTS_MAX = 1000


def read(content_type, body, needed):
    """`("object", fields)`, `("form", name → list)`, `("value", any JSON)` or `("raw", None)`.

    Only a body that calls itself JSON must be JSON; without a content type it may be.
    """
    kind, _, options = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return of_json(parse_json(body.decode()))
        except ValueError as error:
            if needed:
                raise Failure("body-invalid", not_json(body, error)) from None
            return "raw", None
    if kind == "multipart/form-data":
        return "form", multipart(options, body)
    if kind == "application/x-www-form-urlencoded":
        # What `curl -d '{…}'` says of a JSON object.
        return sniffed(body, b"{") or ("form", urlencoded(body))
    return not kind and sniffed(body) or ("raw", None)


def of_json(value):
    return ("object" if isinstance(value, dict) else "value"), value


def sniffed(body, first=b""):
    if body.lstrip()[:1].startswith(first):
        try:
            return of_json(parse_json(body.decode()))
        except ValueError:
            pass
    return None


def not_json(body, error):
    # The decoder's own words, without the text that it failed on.
    return "the body is not JSON: %s" % error if body else "the body is empty, wanted JSON"


def urlencoded(body):
    from .plain import as_text, parse_query

    return parse_query(as_text(body).strip())


def multipart(options, body):
    boundary = option(options, "boundary")
    if not boundary or len(boundary) > 200:
        raise Failure("body-invalid", "the multipart body's content type names no boundary")
    found = {}
    # With a line end before it, the first delimiter is like every other.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise Failure("body-invalid", "the multipart body has no end: it was cut short, or its boundary is not %r" % boundary)
    if len(parts) > PARTS_MAX:
        raise Failure("body-invalid", "the multipart body has more than %d parts" % PARTS_MAX)
    for part in parts[1:-1]:
        head, separator, content = part.partition(b"\r\n\r\n")
        name, is_file = disposition(head)
        if not separator or name is None:
            raise Failure("body-invalid", "a part of the multipart body has no name")
        found.setdefault(name, []).append(content if is_file else content.decode("utf-8", "replace"))
    return found


def disposition(head):
    for line in head.split(b"\r\n"):
        key, _, value = line.decode("utf-8", "replace").partition(":")
        if key.strip().lower() == "content-disposition":
            options = value.partition(";")[2]
            return option(options, "name"), option(options, "filename") is not None
    return None, False


def option(options, wanted):
    """The value of `wanted` in `a=b; c="d;e"`."""
    at = 0
    while at < len(options):
        equals = options.find("=", at)
        if equals < 0:
            return None
        name = options[at:equals].strip(" ;\t").lower()
        at = equals + 1
        if options[at:at + 1] == '"':
            value, at = quoted(options, at + 1)
        else:
            end = options.find(";", at)
            end = len(options) if end < 0 else end
            value, at = options[at:end].strip(), end
        if name == wanted:
            return value
    return None


def quoted(text, at):
    value = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and text[at + 1:at + 2] in ('"', "\\"):
            at += 1
        value.append(text[at])
        at += 1
    return "".join(value), at + 1
