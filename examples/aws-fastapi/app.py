from typing import Annotated

from fastapi import Cookie, FastAPI, Request, Response
from mangum import Mangum

app = FastAPI()


@app.get("/{kind}/{title:path}/by")
async def by(kind: str, title: str, request: Request, response: Response, tag: str = "none", user: Annotated[str, Cookie()] = "nobody"):
    response.set_cookie("seen", "yes")
    response.set_cookie("kind", kind)
    form = request.scope["aws.event"].get("version", "1.0")
    return {"kind": kind, "title": title, "tag": tag, "user": user, "form": form}


@app.post("/{kind}/cover")
async def cover(request: Request):
    content = await request.body()
    return Response(content[::-1], status_code=201, media_type="image/png", headers={"x-bytes": str(len(content))})


handler = Mangum(app, lifespan="off")
