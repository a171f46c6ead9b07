import json
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen


def invoice(net: float, kind: str) -> float:
    # Each function of the namespace is a host of that name, whether or not it has a public URL.
    with urlopen("http://rates/?" + urlencode({"kind": kind})) as answer:
        rate = json.load(answer)
    return round(net * (1 + rate), 2)


def outside() -> str:
    try:
        urlopen("https://example.com", timeout=10)
    except URLError as error:
        return f"no way out: {error.reason}"
    return "it was let out"
