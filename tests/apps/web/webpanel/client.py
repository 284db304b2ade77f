import http.cookiejar
import importlib.metadata
import json
import os
import urllib.error
import urllib.parse
import urllib.request

BOUNDARY = "a-line-that-no-file-has"


def look(base):
    with urllib.request.urlopen(base + "/state", timeout=10) as response:
        print(response.status, json.load(response))


def visit(base):
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar)
    )

    def get(path, data=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            response = opener.open(urllib.request.Request(base + path, data, headers), timeout=10)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            print(path, response.status, response.reason, response.headers.get("Content-Type"))
            return response, response.read().decode()

    for path in ("/", "/units/1", "/units/3", "/static/panel.css", "/static/missing.css"):
        print(get(path)[1])
    print(get("/static/../panel.py")[0].status)
    print(json.loads(get("/state?" + urllib.parse.urlencode({"q": "ü"}))[1]))
    print(get("/resource")[1], get("/stream")[1], get("/fails")[0].status)
    print(get("/login", urllib.parse.urlencode({"user": "Jürgen"}).encode())[1])
    print(sorted(cookie.name for cookie in jar), get("/whoami")[1])
    form = f"multipart/form-data; boundary={BOUNDARY}"
    print(get("/upload", upload({"note": "x"}, "firmware", "fw.bin", 70_000), Content_Type=form)[1])
    etag = get("/static/panel.css")[0].headers["ETag"]
    print("not modified", get("/static/panel.css", If_None_Match=etag)[0].status)
    print("too large", get("/upload", upload({}, "firmware", "fw.bin", 2_000_000))[0].status)
    try:
        opener.open("http://127.0.0.1:1/", timeout=5)
    except urllib.error.URLError as error:
        print(type(error.reason).__name__)


def upload(fields, name, filename, size):
    """The body of a form with a file of zeros in it."""
    parts = [(f'name="{key}"', value.encode()) for key, value in fields.items()]
    parts.append((f'name="{name}"; filename="{filename}"', bytes(size)))
    body = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
        for head, data in parts
    ]
    return b"".join(body) + f"--{BOUNDARY}--\r\n".encode()


def inside(app):
    """What Flask finds through `root_path`, without a socket."""
    print("root", os.path.basename(app.root_path), os.path.basename(app.static_folder))
    print("templates", sorted(app.jinja_env.list_templates()))
    print("loaded from", os.path.basename(app.jinja_env.get_template("index.html").filename))
    print("error page", app.test_client().get("/fails").status_code)
    result = app.test_cli_runner().invoke(args=["hello"])
    print("command", result.exit_code, result.output.strip())
    app.testing = True
    try:
        app.test_client().get("/fails")
    except RuntimeError as error:
        names = []
        frame = error.__traceback__
        while frame:
            names.append(frame.tb_frame.f_code.co_name)
            frame = frame.tb_next
        print("raised in", names[-1], str(error))


def metadata():
    for name in ("flask", "Werkzeug", "markupsafe", "waitress"):
        found = importlib.metadata.distribution(name)
        print(found.metadata["Name"], found.version, sorted(found.requires or [])[:2])
    print([x.load().__name__ for x in importlib.metadata.entry_points(name="flask")])
