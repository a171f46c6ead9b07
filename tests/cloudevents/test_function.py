"""To a function and back: what it answers is the event that the SDK made."""

from world import event, events


def there_and_back(world, sent, mode):
    headers, body = world.sdk.write(sent, mode)
    headers, body = world.ask("POST", f"{world.public}/echo", body, headers)
    assert headers["content-type"] == "application/cloudevents+json", headers
    world.is_same(sent, headers, body)


def test_binary_to_a_functions_url(world):
    for sent in events():
        there_and_back(world, sent, "binary")


def test_structured_to_a_functions_url(world):
    for sent in events():
        there_and_back(world, sent, "structured")


def test_an_answer_that_is_an_event_goes_on_as_that_event(world):
    world.subscribe("answered", "binary")
    for sent in events():
        headers, body = world.sdk.write(sent, "structured")
        world.ask("POST", f"{world.control}/v1/functions/echo/send", body, headers)
        world.is_same(sent, *world.next(), motestatus="200")


# The JavaScript SDK does not percent-encode headers.
def test_headers_beyond_ascii_in_python(world):
    sent = event("application/json", {"total": 1}, subject='Zürich, 100 % of "it"', note="naïve €")
    for mode in ["binary", "structured"]:
        there_and_back(world, sent, mode)
