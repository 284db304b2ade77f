"""The API."""

import contextlib
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, Body, Cookie, Depends, FastAPI, Header, HTTPException, Query
from fastapi import Path as InPath
from fastapi.encoders import jsonable_encoder
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRouter
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBasicCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles

from api.models import Kind, Limits, Unit

units = APIRouter(prefix="/units", tags=["units"])
log = []


@contextlib.asynccontextmanager
async def lifespan(app):
    log.append("started")
    yield {"name": "device"}
    log.append("stopped")


app = FastAPI(title="Device", version="3.1", lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=1000)
app.add_middleware(CORSMiddleware, allow_origins=["http://panel"], allow_methods=["*"])


class TooHot(Exception):
    pass


@app.exception_handler(TooHot)
async def too_hot(request, error):
    return JSONResponse({"too hot": str(error), "state": request.state.name}, status_code=418)


@app.middleware("http")
async def count(request, call_next):
    response = await call_next(request)
    response.headers["X-Path"] = request.url.path
    return response


def in_a_thread(limit: Annotated[int, Query(ge=1, le=100, description="How many")] = 10):
    yield limit
    log.append("dependency closed")


@app.get("/")
def index(limit: Annotated[int, Depends(in_a_thread)], q: Annotated[list[str], Query()]):
    return {"limit": limit, "q": q}


@units.post("/", status_code=201, response_model_exclude_unset=True)
async def create(unit: Unit, tasks: BackgroundTasks) -> Unit:
    tasks.add_task(log.append, f"created {unit.name}")
    return unit


@units.get("/{kind}/{number}")
async def show(
    kind: Kind,
    number: Annotated[int, InPath(ge=0)],
    agent: Annotated[str | None, Header(alias="User-Agent")] = None,
    session: Annotated[str | None, Cookie()] = None,
):
    if number > 5:
        raise HTTPException(404, f"{kind} {number} is not there", {"X-Error": "none"})
    return {"kind": kind, "number": number, "agent": agent, "session": session}


@app.put("/limits", response_model=Limits)
async def limits(low: Annotated[float, Body()], high: Annotated[float, Body()]):
    return {"low": low, "high": high}


@app.get("/hot")
def hot():
    raise TooHot("99 °C")


@app.get("/warns", include_in_schema=False)
def warns() -> Limits:
    return Limits(high=2).model_copy(update={"high": "not a number"})


@app.get("/breaks", include_in_schema=False)
async def breaks():
    return 1 // 0


@app.get("/stream")
async def stream():
    return StreamingResponse((f"line {number}\n" for number in range(200)), media_type="text/csv")


@app.get("/log", response_class=HTMLResponse)
async def show_log():
    return "<br>".join(jsonable_encoder(log))


@app.get("/moved")
async def moved():
    return RedirectResponse("/")


@app.get("/key")
async def key(key: Annotated[str, Depends(APIKeyHeader(name="X-Key"))]):
    return key


@app.get("/basic")
async def basic(who: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]):
    return who.username


@app.get("/bearer")
async def bearer(token: Annotated[object, Depends(HTTPBearer())]):
    return token.credentials


app.include_router(units)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))


def old(environment, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [environment["PATH_INFO"].encode()]
