"""Makes a thumbnail of each photo that is uploaded to the bucket `photos`."""

import io

from PIL import Image, ImageOps

SIDE = 320


def thumbnail(event, context):
    key = event["subject"]
    with Image.open(io.BytesIO(context.bucket("photos").get(key))) as photo:
        # The JPEG decoder scales down while it reads: much less work than a full decode.
        photo.draft("RGB", (SIDE * 2, SIDE * 2))
        small = ImageOps.exif_transpose(photo).convert("RGB")
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    context.bucket("thumbnails").put(key, out.getvalue(), content_type="image/jpeg")
    context.log.info("%s: %d x %d", key, *small.size)
