import logging
import sys

from webpanel import client, panel, serving


def main(group):
    logging.basicConfig(format="%(levelname)s %(module)s %(funcName)s %(message)s")
    app = panel.create_app()
    if group in ("server", "all"):
        with serving.on_free_port(app) as base:
            client.visit(base)
    if group in ("inside", "all"):
        client.inside(app)
    if group in ("authorities", "all"):
        client.authorities()
    if group in ("metadata", "all"):
        client.metadata()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "all")
