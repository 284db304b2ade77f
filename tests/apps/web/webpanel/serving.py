import logging
import threading
from contextlib import contextmanager

import waitress.server


@contextmanager
def on_free_port(app):
    # Says that a request waited for a thread, which is a matter of how busy the machine is.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=2, ident=None)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        # The workers first: a worker that has answered still wakes the loop.
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        thread.join(10)
