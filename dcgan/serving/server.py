"""Listens, and runs the application until a signal; requests under way are still answered."""

import logging
import os
import socket
import sys
import threading
import webbrowser

import uvicorn
from fastapi import FastAPI

from dcgan import UserError
from dcgan.serving.limits import CONNECTIONS, PatientProtocol

logger = logging.getLogger("dcgan")

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")  # variables that X11 and Wayland set
DRAIN_SECONDS = 30  # the longest that requests under way may take when a signal comes


def bind(host: str, port: int) -> socket.socket:
    """Binds an address of this machine; port 0 takes a free one. Clients can connect after `run`.

    Before the model is loaded, so that a taken port is refused early. Another server may still bind
    it until `run` listens. Raises UserError if it is taken, forbidden, or not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would let two servers share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        raise _refusal(host, port, error) from error
    return listener


def _refusal(host: str, port: int, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(
        f"The server cannot listen on port {port} of {host} ({reason}); choose another --port or "
        "--host."
    )


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def config(app: FastAPI, *, connections: int = CONNECTIONS) -> uvicorn.Config:
    """Makes uvicorn's configuration, which does not depend on the environment."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        limit_concurrency=connections,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        proxy_headers=False,  # see `proxies`
        workers=1,  # None would read WEB_CONCURRENCY
    )


def show_in_browser(url: str) -> None:
    """Opens a page if there is a screen; a text browser would take over the terminal."""
    is_screen = os.name == "nt" or sys.platform == "darwin" or any(map(os.environ.get, SCREENS))
    if is_screen:
        # This runs in a thread, as `webbrowser.open` waits for some browsers.
        threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()


def run(app: FastAPI, listener: socket.socket, *, show: bool = False) -> None:
    """Serves until SIGTERM or Ctrl-C, answers requests under way, then lets the signal end us.

    It closes the listener of `bind` at the end; `show` opens the explorer in the browser. Raises
    UserError if another server has taken the port since `bind`.
    """
    try:
        listener.listen()  # clients that connect from now on are answered once the server runs
    except OSError as error:
        raise _refusal(*listener.getsockname()[:2], error) from error
    if show:
        show_in_browser(address(listener))
    # `benchmarks.serving` finds the port in this line.
    logger.info("%s is at %s (Ctrl-C ends it).", app.title, address(listener))
    uvicorn.Server(config(app)).run(sockets=[listener])
