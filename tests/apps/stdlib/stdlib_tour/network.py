"""Sockets, HTTP, TLS and asyncio, on the loopback only."""

import asyncio
import http.client
import http.cookies
import http.server
import io
import ipaddress
import mimetypes
import select
import selectors
import socket
import socketserver
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import wsgiref.util
import wsgiref.validate
import xmlrpc.client
from contextlib import contextmanager
from xmlrpc.server import SimpleXMLRPCServer

from stdlib_tour.checks import check


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.command} {self.path}".encode()
        self.send_response(200 if self.path != "/missing" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "session=1; HttpOnly")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))[::-1]
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@check
def http_loopback():
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("POST", "/x", b"abc", {"X-Unit": "1"})
        response = client.getresponse()
        yield response.status, response.reason, response.read()
        client.close()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/a?b=%C3%BC", timeout=10) as response:
            yield response.status, response.read(), response.headers["Set-Cookie"]
        try:
            opener.open(f"http://127.0.0.1:{port}/missing", timeout=10)
        except urllib.error.HTTPError as error:
            yield error.code, error.reason, error.read()
            error.close()


@check
def xml_rpc():
    server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda a, b: a + b, "add")
    with serving(server) as port:
        with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}") as proxy:
            yield proxy.add(2, 3)
            try:
                proxy.missing()
            except xmlrpc.client.Fault as fault:
                yield fault.faultCode


@check
def urls():
    yield urllib.parse.urlsplit("http://u:p@example.com:8080/a;b?c=d#e")
    yield urllib.parse.urlencode({"a": ["ü", "b c"]}, doseq=True), urllib.parse.unquote("%E2%82%AC")
    yield urllib.parse.urljoin("http://a/b/c", "../d"), urllib.parse.parse_qs("a=1&a=2&b=")
    yield ipaddress.ip_network("10.0.0.0/30").num_addresses, ipaddress.ip_address("::1").is_loopback
    yield http.cookies.SimpleCookie("a=1; b=2").output(header=""), http.HTTPStatus(418).phrase
    yield (
        mimetypes.MimeTypes().guess_type("x.html"),
        mimetypes.MimeTypes().guess_extension("image/png"),
    )
    environ = {"QUERY_STRING": "a=b"}
    wsgiref.util.setup_testing_defaults(environ)
    yield wsgiref.util.request_uri(environ), callable(wsgiref.validate.validator)


@check
def sockets():
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"ping")
        yield select.select([right], [], [], 5)[0] == [right], right.recv(10)
        poller = select.epoll()
        poller.register(left, select.EPOLLOUT)
        yield [event for _, event in poller.poll(1)]
        poller.close()
        with selectors.DefaultSelector() as selector:
            selector.register(left, selectors.EVENT_WRITE, "data")
            yield [key.data for key, _ in selector.select(1)]
        with open("/dev/null", "rb") as file:
            socket.send_fds(left, [b"fd"], [file.fileno()])
            message, descriptors, *_ = socket.recv_fds(right, 10, 1)
            yield message, len(descriptors)
    # A host name that is no ASCII goes through the idna codec, imported by C code.
    try:
        socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        socket.getaddrinfo("bücher.invalid", 80, flags=socket.AI_NUMERICHOST)
    except socket.gaierror as error:
        yield error.errno == socket.EAI_NONAME
    yield socket.AF_INET, socket.inet_aton("1.2.3.4"), socket.htons(1), socket.getservbyname("http")

    class Echo(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline().upper())

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)) as port:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"line\n")
            yield client.makefile().readline()


def handshake(client, server):
    for _ in range(10):
        waiting = 0
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waiting += 1
        if not waiting:
            return


@check
def tls():
    context = ssl.create_default_context()
    yield context.verify_mode, context.check_hostname, context.minimum_version
    paths = ssl.get_default_verify_paths()
    yield (
        "authorities found",
        bool(context.cert_store_stats()["x509_ca"] or paths.cafile or paths.capath),
    )
    yield ssl.HAS_TLSv1_3, ssl.HAS_ALPN, ssl.OPENSSL_VERSION_INFO >= (1, 1, 1)
    # Anonymous suites need no certificate, hence no file.
    sides = []
    for protocol in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER):
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")
        sides.append(context)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = sides[0].wrap_bio(to_client, to_server)
    server = sides[1].wrap_bio(to_server, to_client, server_side=True)
    handshake(client, server)
    client.write(b"secret")
    yield server.read(), client.cipher()[0], client.version()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata="nothing")
    except ssl.SSLError as error:
        yield type(error).__name__


@check
def asyncio_streams():
    async def serve(reader, writer):
        line = await reader.readline()
        writer.write(b"got " + line)
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"line\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    yield asyncio.run(main())


@check
def asyncio_tasks():
    async def work(number):
        await asyncio.sleep(0.001 * number)
        return number * number

    async def main():
        results = await asyncio.gather(*(work(number) for number in range(4)))
        loop = asyncio.get_running_loop()
        in_thread = await loop.run_in_executor(None, sum, [1, 2])
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", "read x; echo got $x; exit 3"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(b"line\n")
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:  # noqa: UP041 (not yet the same class in 3.10)
            timed_out = True
        address = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        queue = asyncio.Queue()
        await queue.put("item")
        rest = (timed_out, address[0][4], await queue.get(), type(loop).__name__)
        return results, in_thread, out, process.returncode, *rest

    yield asyncio.run(main())


@check
def asyncio_reports():
    """A task that nobody awaits: its error is logged by the loop."""
    seen = []

    async def fail():
        raise ValueError("lost")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(context["message"]))
        task = loop.create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(main())
    yield seen
    if sys.version_info >= (3, 11):

        async def group():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fail())

        try:
            asyncio.run(group())
        except Exception as error:
            yield str(error), [type(inner).__name__ for inner in error.exceptions]
    yield io.DEFAULT_BUFFER_SIZE > 0
