"""What the gateway answers."""

import asyncio
import contextlib
from pathlib import Path

from aiohttp import WSMsgType, hdrs, web

STATE = web.AppKey("state", dict)


@web.middleware
async def errors_as_json(request, handler):
    try:
        return await handler(request)
    except web.HTTPError as error:
        return web.json_response({"error": error.reason}, status=error.status)
    except ValueError as error:
        return web.json_response({"error": type(error).__name__}, status=400)
    except ZeroDivisionError as error:
        return web.json_response({"error": str(error)}, status=500)


routes = web.RouteTableDef()


@routes.get("/")
async def index(request):
    return web.Response(text="gateway ü", headers={"X-Path": request.path})


@routes.get(r"/units/{number:\d+}")
async def unit(request):
    number = int(request.match_info["number"])
    return web.json_response({"unit": number, "query": dict(request.query), "share": 10 // number})


@routes.post("/state")
async def set_state(request):
    request.app[STATE].update(await request.json())
    return web.json_response(request.app[STATE])


@routes.post("/form")
async def form(request):
    fields = await request.post()
    return web.json_response(sorted(fields.items()))


@routes.post("/upload")
async def upload(request):
    seen = []
    async for part in await request.multipart():
        data = await part.read(decode=True)
        seen.append([part.name, part.filename, len(data), part.headers[hdrs.CONTENT_TYPE]])
    return web.json_response(seen)


@routes.get("/stream")
async def stream(request):
    response = web.StreamResponse()
    response.enable_compression()
    await response.prepare(request)
    for number in range(100):
        await response.write(f"line {number}\n".encode())
    await response.write_eof()
    return response


@routes.get("/slow")
async def slow(request):
    await asyncio.sleep(60)
    return web.Response()


@routes.get("/breaks")
async def breaks(request):
    request.transport.abort()
    return web.Response()


@routes.get("/login")
async def login(request):
    response = web.HTTPFound("/whoami")
    response.set_cookie("user", "me", httponly=True)
    raise response


@routes.get("/whoami")
async def whoami(request):
    return web.Response(text=request.cookies.get("user", "nobody"))


@routes.view("/view")
class View(web.View):
    async def get(self):
        return web.Response(text="view")


@routes.get("/socket")
async def socket(request):
    connection = web.WebSocketResponse(heartbeat=30, compress=True)
    await connection.prepare(request)
    async for message in connection:
        if message.type == WSMsgType.TEXT and message.data == "end":
            await connection.close(code=4000, message=b"as you wish")
        elif message.type == WSMsgType.TEXT:
            await connection.send_str(message.data.upper())
        elif message.type == WSMsgType.BINARY:
            await connection.send_json({"size": len(message.data)})
    return connection


def application():
    app = web.Application(middlewares=[errors_as_json], client_max_size=100_000)
    app[STATE] = {"mode": "idle"}
    app.add_routes(routes)
    app.router.add_static("/static", Path(__file__).parent / "static")
    inner = web.Application()
    inner.router.add_get("/inner", whoami)
    app.add_subapp("/sub", inner)
    return app


@contextlib.asynccontextmanager
async def running(*, path=None):
    """On a free port, whose URL is given; or on a socket with this path."""
    runner = web.AppRunner(application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.UnixSite(runner, path) if path else web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://gateway" if path else f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
