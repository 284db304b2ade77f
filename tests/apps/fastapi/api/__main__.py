import json
import sys

from api import client, serving
from api.application import app


def main(argument):
    if argument == "--ready":
        return 0
    with serving.on_free_port("api.application:app") as port:
        report = client.tiny(port) if argument == "--tiny" else client.full(port)
    if argument != "--tiny":
        report["schema"] = app.openapi()
        # By the name of a WSGI application, and with uvicorn's other loggers.
        with serving.on_free_port("api.application:old", interface="wsgi") as port:
            report["wsgi"] = client.ask(port, "GET", "/old")
    print(json.dumps(report, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "--selftest"))
