"""What came out of some calls, in the same words for both ways to run them."""

import typing


class Answer(typing.NamedTuple):
    # "response", "error", "init" (the handler could not be loaded) or "exit" (it ended without a word).
    kind: str
    # Of a result.
    type: str = ""
    body: bytes = b""
    # The document, as it was sent; of a streamed answer, what followed its body.
    error: typing.Optional[str] = None


class Outcome(typing.NamedTuple):
    answers: typing.List[Answer]
    # Its exit status, if the process ended by itself.
    status: typing.Optional[int]
    log: str


PATIENCE_S = 30
