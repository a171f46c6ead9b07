"""Replies that try to be more than a reply."""


def reply(status=200, headers=None, body="body"):
    return {"status": status, "headers": headers or {}, "body": body}


def split_header():
    return reply(headers={"x-note": "a\r\nx-injected: yes", "x-other": "a\nx-injected: yes"})


def split_name():
    return reply(headers={"x-note: a\r\nx-injected": "yes", "": "empty", "a b": "space"})


def wild_status():
    return reply(status=99999)


def small_status():
    return reply(status=101)


def wrong_length():
    return reply(headers={"content-length": "100000"})


def smuggled():
    return reply(headers={"content-length": "0", "transfer-encoding": "chunked"}, body="0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nsmuggled")


def many_headers():
    return reply(headers={f"x-{number}": "x" for number in range(20_000)})


def large_header():
    return reply(headers={"x-large": "x" * 900_000})


def no_text():
    return reply(headers={"x-note": "\x00\x7f\ud800", "x-request-id": "forged", "server-timing": "forged"})


def deep():
    value = []
    for _ in range(900):
        value = [value]
    return value


def hop_by_hop():
    return reply(headers={"connection": "upgrade", "upgrade": "websocket", "te": "x", "trailer": "x", "x-request-id": "forged"})
