"""Three steps of a flow: two look at a photo side by side, the third files what they found."""


def metadata(event):
    photo = event["data"]
    return {"name": photo["name"], "megapixels": photo["width"] * photo["height"] / 1_000_000}


def resize(event):
    photo = event["data"]
    scale = 320 / max(photo["width"], photo["height"])
    return {"width": round(photo["width"] * scale), "height": round(photo["height"] * scale)}


def catalogue(event):
    found = event["data"]
    return found["facts"] | {"thumbnail": found["small"]}
