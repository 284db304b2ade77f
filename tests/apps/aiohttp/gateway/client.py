"""A client that asks for everything, over TCP and over a socket with a path."""

import io
import os
import tempfile

import aiohttp
from aiohttp import ClientSession, ClientTimeout, hdrs

from gateway import server


async def tiny():
    async with server.running() as base, ClientSession(base) as session, session.get("/") as answer:
        return {"status": answer.status, "text": await answer.text()}


async def full():
    async with server.running() as base, ClientSession(base) as session:
        report = {
            "pages": await pages(session),
            "bodies": await bodies(session),
            "stream": await stream(session),
            "cookies": await cookies(session),
            "socket": await socket(session),
            "refused": await refused(session),
        }
    report["traced"] = await traced()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "gateway")
        connector = aiohttp.UnixConnector(path)
        async with (
            server.running(path=path) as base,
            ClientSession(base, connector=connector) as it,
        ):
            async with it.get("/") as answer:
                report["unix"] = await answer.text()
    return report


async def pages(session):
    seen = []
    for path in (
        "/",
        "/units/2?of=ü&of=x",
        "/units/0",
        "/units/x",
        "/view",
        "/sub/inner",
        "/static/gateway.css",
        "/static/../server.py",
        "/missing",
    ):
        async with session.get(path) as answer:
            seen.append([answer.status, answer.content_type, await answer.text()])
    async with session.head("/") as answer:
        seen.append([answer.status, answer.headers["X-Path"]])
    async with session.delete("/") as answer:
        seen.append([answer.status, answer.headers.get(hdrs.ALLOW)])
    async with session.get("/static/gateway.css", headers={hdrs.RANGE: "bytes=0-3"}) as answer:
        seen.append([answer.status, await answer.text()])
    return seen


async def bodies(session):
    seen = []
    form = aiohttp.FormData({"note": "ü"})
    form.add_field("firmware", io.BytesIO(b"\0" * 50_000), filename="fw.bin")
    for path, body in (
        ("/state", {"json": {"mode": "on", "level": 2.5}}),
        ("/state", {"data": b"{broken"}),
        ("/form", {"data": {"a": "1", "b": "ü"}}),
        ("/form", {"data": {"a": "x" * 200_000}}),
        ("/upload", {"data": form}),
    ):
        async with session.post(path, **body) as answer:
            seen.append([answer.status, await answer.text()])
    return seen


async def stream(session):
    async with session.get("/stream") as answer:
        lines = [line async for line in answer.content]
        return [len(lines), lines[-1].decode(), answer.headers[hdrs.CONTENT_ENCODING]]


async def cookies(session):
    # By default none are kept for addresses.
    jar = aiohttp.CookieJar(unsafe=True)
    async with ClientSession(session._base_url, cookie_jar=jar) as own:
        async with own.get("/login") as answer:
            seen = [[step.status for step in answer.history], await answer.text()]
        async with own.get("/login", allow_redirects=False) as answer:
            seen += [answer.status, answer.headers[hdrs.LOCATION]]
        return [*seen, sorted((cookie.key, cookie.value) for cookie in jar)]


async def socket(session):
    async with session.ws_connect("/socket", compress=15) as connection:
        await connection.send_str("grüße")
        seen = [await connection.receive_str(timeout=20)]
        await connection.send_bytes(bytes(1000))
        seen.append(await connection.receive_json(timeout=20))
        await connection.ping()
        await connection.send_str("end")
        message = await connection.receive(timeout=20)
        return [*seen, message.type.name, message.data, message.extra]


async def refused(session):
    seen = []
    for method, url, options in (
        ("GET", "/slow", {"timeout": ClientTimeout(total=0.05)}),
        ("GET", "/breaks", {}),
        ("GET", "http://127.0.0.1:1/", {}),
        ("GET", "/missing", {"raise_for_status": True}),
        ("GET", "/login", {"max_redirects": 0}),
        ("GET", "gopher://127.0.0.1/", {}),
        ("GET", "/socket", {}),
    ):
        try:
            async with session.request(method, url, **options) as answer:
                seen.append(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.append([kind.__name__ for kind in type(error).__mro__[:3]])
    try:
        await session.ws_connect("/")
    except aiohttp.WSServerHandshakeError as error:
        seen.append([error.status, error.message])
    return seen


async def traced():
    """Hooks, basic authentication and a connector of its own."""
    seen = []
    trace = aiohttp.TraceConfig()

    async def note(session, context, parameters):
        seen.append(type(parameters).__name__)

    trace.on_request_start.append(note)
    trace.on_request_end.append(note)
    trace.on_connection_reuseconn.append(note)
    auth = aiohttp.BasicAuth("me", "secret")
    connector = aiohttp.TCPConnector(limit=1, use_dns_cache=False)
    async with server.running() as base:
        base = base.replace("127.0.0.1", "localhost")
        async with ClientSession(connector=connector, auth=auth, trace_configs=[trace]) as session:
            for _ in range(2):
                async with session.get(base + "/whoami") as answer:
                    seen.append([answer.status, answer.request_info.headers[hdrs.AUTHORIZATION]])
    return seen
