"""Notes over HTTP, kept as objects of the bucket `notes`."""


def save(name: str, body: str, context):
    """Keeps the request's body under a name."""
    context.bucket("notes").put(name, body.encode(), content_type="text/plain")
    return {"status": 201, "body": f"saved {name}\n"}


def read(name: str, context) -> str:
    """Gives a note back."""
    return context.bucket("notes").get(name).decode()
