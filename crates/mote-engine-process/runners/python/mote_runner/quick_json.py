"""JSON by the interpreter's own C code, without the standard module around it.

`import json` brings `re`, `enum`, `functools` and `collections`: more work than the interpreter's own
start, and many functions need none of it. What is made here does what `JSONDecoder.decode` and
`JSONEncoder.encode` do. Where an interpreter lacks that code, and to word an error, it is the
standard module after all, which is imported early where a file of the function's could stand in its
way (entry.py).
"""
try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    make_encoder = make_scanner = None

BLANK = " \t\n\r"
CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Options:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int

    def __init__(self, constant):
        self.parse_constant = constant


def decoder(constant=CONSTANTS.__getitem__, worded=True):
    """From text to a value; `constant` gives those that are no JSON by their names. Where nobody
    reads what is wrong with a text, the error need not be `worded`."""
    if make_scanner is None:
        return standard_decoder(constant)
    scan = make_scanner(Options(constant))

    def decode(text):
        trimmed = text.strip(BLANK)
        try:
            value, end = scan(trimmed, 0)
            if end == len(trimmed):
                return value
        # Up to 3.10 an error of the scanner fails itself where nobody has imported the module yet.
        except (StopIteration, ValueError, SystemError):
            pass
        if not worded:
            raise ValueError("it is no JSON")
        return standard_decoder(constant)(text)

    return decode


def standard_decoder(constant):
    import json

    return json.JSONDecoder(parse_constant=constant).decode


def encoder(item_separator=", ", key_separator=": ", ascii=True, nan=True, default=None):
    """From a value to text; `default` gives another value for one that JSON does not know."""
    if make_encoder is None:
        import json

        return json.JSONEncoder(
            separators=(item_separator, key_separator), ensure_ascii=ascii, allow_nan=nan, default=default
        ).encode
    default = default or refuse
    string = encode_basestring_ascii if ascii else encode_basestring

    def encode(value):
        # The first argument finds circles, and is good for one value.
        encode_parts = make_encoder({}, default, string, None, key_separator, item_separator, False, False, nan)
        return "".join(encode_parts(value, 0))

    return encode


def refuse(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


loads = decoder()
dumps = encoder()
dumps_compact = encoder(",", ":", ascii=False)
