import importlib.metadata
import os
import ssl

import requests
import requests.certs


def visit(base):
    session = requests.Session()
    session.trust_env = False

    def get(path, **more):
        response = session.get(base + path, timeout=10, **more)
        print(path, response.status_code, response.headers.get("Content-Type"))
        return response

    print(get("/").text)
    print(get("/units/1").text)
    print(get("/units/3").text)
    print(get("/state", params={"q": "ü"}).json())
    print(get("/static/panel.css").text)
    print(get("/static/missing.css").reason)
    print(get("/static/../panel.py").status_code)
    print(get("/resource").json())
    print(get("/stream").text)
    response = session.post(base + "/login", data={"user": "Jürgen"}, timeout=10)
    print(
        [step.status_code for step in response.history],
        response.text,
        sorted(session.cookies.keys()),
    )
    print(get("/whoami").text)
    files = {"firmware": ("fw.bin", b"\0" * 70_000, "application/octet-stream")}
    response = session.post(base + "/upload", data={"note": "x"}, files=files, timeout=10)
    print(response.json())
    etag = session.get(base + "/static/panel.css", timeout=10).headers["ETag"]
    print("not modified", get("/static/panel.css", headers={"If-None-Match": etag}).status_code)
    session.close()
    try:
        requests.get("http://127.0.0.1:1/", timeout=5, proxies={"http": ""})
    except requests.ConnectionError as error:
        print(type(error).__name__)


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


def authorities():
    """OpenSSL itself opens this file, in C: a path that exists in Python only will not do."""
    path = requests.certs.where()
    context = ssl.create_default_context(cafile=path)
    print("size", os.path.getsize(path) > 100_000)
    print("loaded", context.cert_store_stats()["x509_ca"] > 100)
    with open(path, encoding="ascii") as file:
        print("read", file.read().count("BEGIN CERTIFICATE") == context.cert_store_stats()["x509"])


def metadata():
    for name in ("flask", "Werkzeug", "markupsafe", "charset_normalizer"):
        found = importlib.metadata.distribution(name)
        print(found.metadata["Name"], found.version, sorted(found.requires or [])[:2])
    print([x.load().__name__ for x in importlib.metadata.entry_points(name="flask")])
