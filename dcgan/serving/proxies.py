"""Support for a reverse proxy that shows the server under a path of its own, such as /faces.

The proxy may strip that prefix from requests, or keep it. All links and redirects are relative, so
a proxy that strips it need not say so. X-Forwarded headers count only from trusted proxies.
"""

import ipaddress
import re
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dcgan import UserError
from dcgan.serving.hosts import EVERY
from dcgan.serving.limits import refuse

_PREFIX = re.compile(r"(/[A-Za-z0-9_~@+-][A-Za-z0-9._~@+-]*)*")  # no empty segment, no . and ..


def check_root_path(given: str) -> str:
    """Checks the path of --root_path, such as /faces, and returns it; empty for the root."""
    path = f"/{given.strip('/')}" if given.strip("/") else ""
    if not _PREFIX.fullmatch(path):
        raise UserError(
            "--root_path must be a path such as /faces, of letters, digits and . _ ~ @ + -; "
            f"received {given!r}."
        )
    return path


def check_trusted(given: str) -> str:
    """Checks the addresses and networks of --forwarded_allow_ips; returns them, or `EVERY`."""
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        try:
            ipaddress.ip_network(name)
        except ValueError as error:
            if name != EVERY:
                raise UserError(
                    "--forwarded_allow_ips must be IP addresses or networks such as 172.16.0.0/12, "
                    f"or {EVERY} for all; received {name!r}."
                ) from error
    return EVERY if EVERY in names else ",".join(names)


class BehindProxy(ProxyHeadersMiddleware):
    """ASGI middleware that restores a request as it was before the proxy.

    It sets scheme and client as uvicorn does. root_path is the prefix that a trusted proxy names in
    X-Forwarded-Prefix, else the given one, and `state.path` the path below it. X-Forwarded headers
    are removed from requests of anyone who is not trusted.
    """

    def __init__(self, app: ASGIApp, trusted_hosts: str, root_path: str):
        super().__init__(app, trusted_hosts)
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root_path = self._root_path
        if self._is_trusted(scope):
            # Each of several proxies adds the prefix that it has stripped, the outermost first.
            named = Headers(scope=scope).getlist("x-forwarded-prefix")
            words = [word.strip() for line in named for word in line.split(",")]
            if named:
                root_path = "".join(word.rstrip("/") for word in words)
            if not _PREFIX.fullmatch(root_path):
                sentence = f"X-Forwarded-Prefix must be a path; received {root_path[:100]!r}."
                await refuse(400, sentence)(scope, receive, send)
                return
        else:
            kept = [pair for pair in scope["headers"] if not pair[0].startswith(b"x-forwarded-")]
            scope["headers"] = kept
        path = f"/{scope['path'].lstrip('/')}"  # nginx makes //x if only proxy_pass ends in /
        if root_path and path != root_path and not path.startswith(f"{root_path}/"):
            path = root_path + path
        scope |= {"path": path, "root_path": root_path}
        scope.setdefault("state", {})["path"] = path[len(root_path) :]

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 307:
                headers = MutableHeaders(scope=message)
                headers["location"] = _relative(headers["location"], path)
            await send(message)

        await super().__call__(scope, receive, send_relative)

    def _is_trusted(self, scope: Scope) -> bool:
        """Tells if the client is trusted; IPv6 sockets show IPv4 addresses as ::ffff:127.0.0.1."""
        host, port = scope.get("client") or ("", 0)
        host = host.removeprefix("::ffff:")
        scope["client"] = (host, port)
        return host in self.trusted_hosts


def _relative(location: str, path: str) -> str:
    """Makes a redirect relative to the path of its request.

    Starlette makes absolute ones, for a slash too few or too many at the end of a path. They hold
    the address that the server knows, not the address of the proxy that the browser uses.
    """
    target = urlsplit(location)
    if not target.netloc:
        return location
    up = "../" * (len(path) - len(path.rstrip("/"))) or "./"  # ./ for names with a colon
    name = target.path.rstrip("/").rpartition("/")[2]
    slash = "/" if target.path.endswith("/") else ""
    query = f"?{target.query}" if target.query else ""
    return f"{up}{quote(name, safe='%:@!$&()*+,;=~')}{slash}{query}"
