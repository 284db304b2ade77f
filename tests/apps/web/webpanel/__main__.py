import logging
import sys

from webpanel import client, panel, serving


def main(group):
    if group == "--ready":
        return
    logging.basicConfig(format="%(levelname)s %(module)s %(funcName)s %(message)s")
    app = panel.create_app()
    if group == "--tiny":
        with serving.on_free_port(app) as base:
            client.look(base)
    if group in ("server", "--selftest"):
        with serving.on_free_port(app) as base:
            client.visit(base)
    if group in ("inside", "--selftest"):
        client.inside(app)
    if group in ("metadata", "--selftest"):
        client.metadata()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "--selftest")
