"""Checks the Host header of requests, against DNS rebinding.

A web page may point its own name to this machine, and then read the server's answers as if they
came from its own site. Such a request names that site in its Host header, so only known hosts are
answered. Starlette's TrustedHostMiddleware cannot allow all IP addresses, or refuse in JSON.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dcgan import UserError
from dcgan.serving.limits import refuse

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
EVERY = "*"


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts that are answered, with any port."""

    names: frozenset[str]  # in lower case; IPv6 addresses in brackets
    any_address: bool  # whether every IP address is allowed too: rebinding needs a name

    def allows(self, header: str) -> bool:
        if EVERY in self.names:
            return True
        found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^][:/@?#\s]+)(:[0-9]{0,5})?", header.lower())
        return found is not None and (
            found[1] in self.names or (self.any_address and _is_address(found[1]))
        )


def make_allowed_hosts(host: str, address: str, given: str) -> AllowedHosts:
    """Returns the hosts of a server.

    Args:
        host: the host that the server was told to listen on; `address` is its IP address.
        given: further names, separated by commas; `EVERY` allows all. Raises UserError for
            anything else.
    """
    names = [name.strip().lower() for name in given.split(",") if name.strip()]
    for name in names:
        if name != EVERY and not re.fullmatch(r"\[[0-9a-f:.]+\]|[^][:/@?#*\s]+", name):
            raise UserError(
                f"--allowed_hosts must be names such as faces.example.org, without http:// and "
                f"port, IPv6 addresses in brackets, or {EVERY}; received {name!r}."
            )
    is_loopback = ipaddress.ip_address(address).is_loopback
    own = () if is_loopback else (socket.gethostname().lower(),)
    listened = f"[{host}]" if ":" in host else host
    return AllowedHosts(frozenset((*LOOPBACK, listened.lower(), *own, *names)), not is_loopback)


def check_origins(given: str) -> tuple[str, ...]:
    """Checks the origins of --cors and returns them as browsers send them, without a last slash."""
    names = [name.strip().lower().rstrip("/") for name in given.split(",") if name.strip()]
    origin = re.compile(r"[*]|null|[a-z][a-z0-9+.-]*://[^/?#@\s]+")  # null: of pages of files
    for name in names:
        if not origin.fullmatch(name):
            raise UserError(
                "--cors must be origins such as https://www.example.org, with http:// or https:// "
                f"and without a path, or {EVERY} for all; received {name!r}."
            )
    return tuple(names)


class CheckHost:
    """ASGI middleware that refuses requests to any other host."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts):
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            for name in _requested_hosts(Headers(scope=scope)):
                if not self._hosts.allows(name):
                    answer = refuse(
                        400,
                        f"The host {name[:100]!r} is not allowed; the server's --allowed_hosts "
                        "adds names to those that are.",
                    )
                    await answer(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _requested_hosts(headers: Headers) -> list[str]:
    """Returns the hosts that a request names; "" for a missing or repeated Host header.

    X-Forwarded-Host is checked as well, but not instead: a page that rebinds its name may send any
    header but Host.
    """
    host = headers.getlist("host")
    forwarded = ",".join(headers.getlist("x-forwarded-host"))
    proxied = [name.strip() for name in forwarded.split(",") if name.strip()]
    return [host[0] if len(host) == 1 else "", *proxied]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
