"""Counts what a clock fires: each timer's payload says what it counts."""


def pulse(event, unit: str, context):
    counts = context.bucket("pulse")
    # One object for each fire: the same one again, should it come twice.
    counts.put(f"{unit}/{event['time']}", b"")
    print(f"{event['source']} fired for {event['time']}, counting {unit}")
