"""Prices come from a supplier over HTTP, for whose certificate somebody vouches."""

import json
import os
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
import requests.certs
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.util import Retry

from inventory.checks import check


class Supplier(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    busy = 2

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/price":
            self.answer(200, b'{"price": 2.5}', Content_Type="application/json")
        elif self.path == "/busy":
            Supplier.busy -= 1
            self.answer(503 if Supplier.busy >= 0 else 200, b"at last")
        elif self.path == "/moved":
            self.answer(302, Location="/price", Set_Cookie="seen=1")
        elif self.path == "/loop":
            self.answer(302, Location="/loop")
        elif self.path == "/guarded":
            digest = "Authorization" in self.headers and "nonce" in self.headers["Authorization"]
            challenge = 'Digest realm="stock", nonce="abc", qop="auth"'
            self.answer(200 if digest else 401, b"", WWW_Authenticate=challenge)
        elif self.path == "/latin":
            self.answer(200, "fünf".encode("latin-1"), Content_Type="text/plain")
        elif self.path == "/guess":
            self.answer(200, "Пять гаек и три болта на складе".encode("koi8-r"))
        else:
            self.answer(404, b"<b>no such part</b>")

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"].partition(";")[0]
        self.answer(201, json.dumps([kind, len(data), self.headers["Cookie"]]).encode())

    def log_message(self, *args):
        pass


@contextmanager
def supplier():
    with ThreadingHTTPServer(("127.0.0.1", 0), Supplier) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@check
def questions():
    with supplier() as base, requests.Session() as session:
        session.trust_env = False
        session.mount(base, HTTPAdapter(max_retries=Retry(3, status_forcelist=[503])))

        def get(path, **more):
            return session.get(base + path, timeout=10, **more)

        yield get("/price").json(), get("/busy").text
        moved = get("/moved")
        yield [step.status_code for step in moved.history], session.cookies.get_dict()
        yield get("/guarded", auth=HTTPDigestAuth("me", "secret")).status_code
        yield get("/guarded").status_code, get("/latin").text, get("/guess").text
        yield get("/missing").reason, b"".join(get("/price", stream=True).iter_content(4))
        for more in (
            {"json": {"part": "ü"}},
            {"data": {"part": "ü"}},
            {"data": {"note": "x"}, "files": {"list": ("list.csv", b"1;2\n" * 99, "text/csv")}},
        ):
            response = session.post(base + "/order", timeout=10, **more)
            kind, size, cookie = response.json()
            yield response.status_code, kind, size > 5, cookie, response.request.method


@check
def failures():
    with supplier() as base, requests.Session() as session:
        session.trust_env = False
        for path in (f"{base}/missing", f"{base}/loop", f"{base}/latin", "http://127.0.0.1:1/"):
            try:
                response = session.get(path, timeout=10)
                response.raise_for_status()
                response.json()
            except requests.RequestException as error:
                yield [kind.__name__ for kind in type(error).__mro__[:2]]
    for url in ("no scheme", "gopher://supplier/", "http://", "http://*part/"):
        try:
            requests.get(url, timeout=5, proxies={"http": ""})
        except requests.RequestException as error:
            yield url, type(error).__name__


@check
def authorities():
    """OpenSSL itself opens this file, in C: a path that exists in Python only will not do."""
    path = requests.certs.where()
    context = ssl.create_default_context(cafile=path)
    count = context.cert_store_stats()
    yield os.path.getsize(path) > 100_000, count["x509_ca"] > 100
    with open(path, encoding="ascii") as file:
        yield file.read().count("BEGIN CERTIFICATE") == count["x509"]
