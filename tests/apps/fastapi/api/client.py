import gzip
import http.client
import json

UNIT = {
    "id": "12345678-1234-5678-1234-567812345678",
    "kind": "pump",
    "name": "north",
    "address": "10.0.0.1",
    "price": "12.50",
    "made": "2020-02-29",
    "started": "2024-02-29T12:00:00+01:00",
    "rule": {"trigger": "timer", "every": "PT1M"},
    "tags": ["a", "a"],
}
LEVEL = {"trigger": "level", "limits": {"low": 1, "high": 2.5}}
INNER = UNIT | {"name": "inner", "rule": LEVEL}
QUERIES = [
    ("GET", "/?limit=7&q=a&q=%C3%BC"),
    ("GET", "/?limit=0&q=a"),
    ("POST", "/units/", UNIT | {"nested": {"inside": [INNER]}}),
    ("POST", "/units/", UNIT | {"name": "root"}),
    ("POST", "/units/", UNIT | {"name": "no name", "rule": {"trigger": "sun"}, "made": "soon"}),
    ("POST", "/units/", {}),
    ("POST", "/units/", "{broken"),
    ("GET", "/units/pump/3", None, {"User-Agent": "test", "Cookie": "session=s"}),
    ("GET", "/units/pump/9"),
    ("GET", "/units/cable/-1"),
    ("PUT", "/limits", {"low": 1, "high": 2}),
    ("PUT", "/limits", {"low": "x"}),
    ("GET", "/hot"),
    ("GET", "/warns"),
    ("GET", "/breaks"),
    ("GET", "/stream", None, {"Accept-Encoding": "gzip"}),
    ("GET", "/moved"),
    ("GET", "/key"),
    ("GET", "/key", None, {"X-Key": "k"}),
    ("GET", "/basic", None, {"Authorization": "Basic bWU6c2VjcmV0"}),
    ("GET", "/basic", None, {"Authorization": "Basic broken"}),
    ("GET", "/bearer", None, {"Authorization": "Bearer token"}),
    ("GET", "/bearer"),
    ("OPTIONS", "/", None, {"Origin": "http://panel", "Access-Control-Request-Method": "GET"}),
    ("DELETE", "/"),
    ("GET", "/missing"),
    ("GET", "/static/units.json"),
    ("GET", "/static/../application.py"),
    ("GET", "/docs"),
    ("GET", "/log"),
]


def tiny(port):
    return {"index": ask(port, "GET", "/?q=a")}


def full(port):
    return {"answers": [[*query[:2], *ask(port, *query)] for query in QUERIES]}


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    data = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.headers["Content-Encoding"] == "gzip":
        content = gzip.decompress(content)
    seen = [
        name for name in response.headers if name.lower() not in ("date", "last-modified", "etag")
    ]
    return [response.status, sorted(seen), content.decode()]
