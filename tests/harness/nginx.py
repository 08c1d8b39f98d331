"""A private nginx with one of the files of deploy/nginx, and a browser's connection to it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

from harness.certificate import make_certificate
from harness.ports import free_port, listens, wait_until
from harness.postfix import need

HOST = "mail.example.org"
_TEMPORARY = "".join(
    f"{kind}_temp_path {{run}}/{kind}; "
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
_CONF = (
    "daemon off; pid {run}/pid; error_log {run}/error.log; events {{ }}\n"
    "http {{ access_log {run}/access.log; "
    + _TEMPORARY
    + "include /etc/nginx/mime.types; include {run}/site.conf; }}\n"
)


@dataclass(frozen=True)
class Nginx:
    """Its port for TLS, and its folder."""

    port: int
    run: Path

    @property
    def access_log(self) -> str:
        """What it has written of requests."""
        return (self.run / "access.log").read_text()

    @contextmanager
    def connection(self) -> Iterator[HTTPSConnection]:
        """A connection of a browser that trusts the certificate."""
        context = ssl.create_default_context(cafile=str(self.run / f"{HOST}.pem"))
        connection = HTTPSConnection(HOST, context=context, timeout=60)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sock = context.wrap_socket(raw, server_hostname=HOST)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def running_nginx(site: str) -> Iterator[Nginx]:
    """Run nginx with ``site``, a server block for ``HOST``, until the block ends."""
    need("nginx", "nginx-light")
    nginx = Nginx(free_port(), Path(tempfile.mkdtemp(prefix="coop-nginx-")))
    try:
        _write(nginx, site)
        command = ["nginx", "-e", str(nginx.run / "error.log"), "-c", str(nginx.run / "conf")]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: listens(nginx.port), "nginx up")
                yield nginx
            finally:
                process.terminate()
    finally:
        shutil.rmtree(nginx.run, ignore_errors=True)


def _write(nginx: Nginx, site: str) -> None:
    run = nginx.run
    run.chmod(0o755)
    made = make_certificate(run, HOST)
    site = site.replace("    listen [::]:443 ssl;\n", "")
    site = site.replace("listen 443", f"listen 127.0.0.1:{nginx.port}")
    live = f"/etc/letsencrypt/live/{HOST}"
    site = site.replace(f"{live}/fullchain.pem", str(made.certificate))
    site = site.replace(f"{live}/privkey.pem", str(made.key))
    (run / "site.conf").write_text(site)
    (run / "conf").write_text(_CONF.format(run=run))
