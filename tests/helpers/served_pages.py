"""Serves a page's application in a thread of the test process."""

import contextlib
import threading

import uvicorn

from dualcam.live import serving


@contextlib.contextmanager
def served(app):
    """Its listening socket, while it is served."""
    bound = serving.bind('127.0.0.1', 0)
    config = uvicorn.Config(app, log_level='error', ws='websockets-sansio')
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={'sockets': [bound]}, daemon=True)
    thread.start()
    try:
        yield bound
    finally:
        server.should_exit = True
        thread.join(30)


def host_and_port(bound):
    """'host:port' of a listening socket."""
    return '{}:{}'.format(*bound.getsockname())
