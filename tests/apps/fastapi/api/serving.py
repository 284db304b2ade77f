import contextlib
import socket
import threading

import uvicorn


@contextlib.contextmanager
def on_free_port(application, **options):
    config = uvicorn.Config(application, log_level="warning", lifespan="auto", **options)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
