"""Where the servers of a run stand: nginx, a bare pingora proxy, tollgate, Express, a facilitator."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .machine import BENCH, E2E, NODE, free_port
from .server import Server

NGINX = """
daemon off; worker_processes 1; error_log {home}/error.log; pid {home}/nginx.pid; {user}
worker_rlimit_nofile {files}; events {{ worker_connections {files}; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; types {{ }}
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s; keepalive_timeout 300s;
  upstream static {{ server 127.0.0.1:{upstream}; keepalive 512;
                     keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{listen}{tls}; {serve} }}
}}
"""
STATIC = "root {home}; default_type text/plain;"
# What a client is slower to take than the file server to give stays in memory, as in the others.
PROXY = """location / {{ proxy_pass http://static; proxy_http_version 1.1;
                        proxy_max_temp_file_size 0; proxy_set_header Connection ""; }}"""
REFUSE = """default_type application/json; add_header PAYMENT-REQUIRED "{header}" always;
            add_header Cache-Control no-store always; location / {{ return 402 '{body}'; }}"""
TLS = "ssl_certificate {home}/chain.pem; ssl_certificate_key {home}/key.pem;"
CERTIFICATES = """
[[certificates]]
chain = "chain.pem"
key = "key.pem"

[ledger]"""
LARGE_MB = 10
# What nginx has at most; beside the clients it has as many connections to the server behind it.
FILES_MAX = 20000


class Stage:
    """A folder, and the servers that were started for it; all of them end with it."""

    def __init__(self, binaries, log=None):
        self.binaries, self.servers = binaries, []
        self.folder = tempfile.TemporaryDirectory(prefix="tollgate-bench-")
        self.home = Path(self.folder.name)
        os.chmod(self.home, 0o755)
        self.log = open(log or self.home / "log", "a")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for server in reversed(self.servers):
            server.stop()
        self.log.close()
        if kind:
            # Why it came to this is likely to be there.
            tail = Path(self.log.name).read_text(errors="replace").splitlines()[-20:]
            print(*tail, sep="\n", file=sys.stderr)
        self.folder.cleanup()

    def start(self, command, listen, environment=None, admin=None):
        self.servers.append(Server(listen, command, self.log, environment, admin))
        return self.servers[-1]

    def end(self, server):
        """Ends one before the others."""
        self.servers.remove(server)
        server.stop()

    def files(self, **sizes):
        """What the file server serves, by name."""
        for name, size in sizes.items():
            (self.home / name).write_text("x" * (size - 1) + "\n")

    def static(self):
        return self.nginx("static", STATIC)

    def nginx(self, name, serve, upstream=None, tls=False, **values):
        folder, listen = self.home / f"nginx-{name}", free_port()
        folder.mkdir()
        if tls:
            serve = f"{TLS} {serve}"
        text = NGINX.format(home=folder, listen=listen, serve=serve.format(home=self.home, **values),
                            upstream=upstream.listen if upstream else 1, files=FILES_MAX,
                            user="user root;" if os.getuid() == 0 else "",
                            tls=" ssl http2" if tls else "")
        (folder / "nginx.conf").write_text(text)
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        server = self.start(command, listen).wait()
        server.is_tls = tls
        return server

    def bare(self, upstream):
        listen = free_port()
        command = [str(self.binaries / "examples/bare_pingora"), f"127.0.0.1:{listen}",
                   f"127.0.0.1:{upstream.listen}"]
        return self.start(command, listen).wait()

    def tollgate(self, name, upstream, ledger="memory:", changes=(), environment=None):
        """A gateway with `gateway.toml` as it stands there, but for `changes`; not waited for."""
        listen, admin = free_port(), free_port()
        text = (BENCH / "gateway.toml").read_text()
        if ledger == "sqlite:":
            ledger = f"sqlite://{self.home}/{name}-{listen}.db"
        filled = [("{listen}", listen), ("{admin}", admin), ("{ledger}", ledger),
                  ("{upstream}", upstream.listen if hasattr(upstream, "listen") else upstream)]
        for old, new in [*changes, *filled]:
            if old not in text:
                sys.exit(f"gateway.toml has no {old}")
            text = text.replace(old, str(new))
        path = self.home / f"{name}-{listen}.toml"
        path.write_text(text)
        command = [str(self.binaries / "tollgate"), "serve", str(path)]
        return self.start(command, listen, environment, admin)

    def facilitator(self, verify_ms, settle_ms):
        listen = free_port()
        command = [str(self.binaries / "examples/facilitator"), f"127.0.0.1:{listen}",
                   str(verify_ms), str(settle_ms)]
        return self.start(command, listen).wait()

    def express(self, facilitator):
        listen = free_port()
        command = [str(NODE), str(E2E / "express.mjs"), facilitator.url(""), str(listen)]
        return self.start(command, listen, {"NODE_ENV": "production"}).wait()

    def certificate(self):
        """For `TLS` and `CERTIFICATES`; nobody vouches for it."""
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                   "-keyout", str(self.home / "key.pem"), "-out", str(self.home / "chain.pem")]
        subprocess.run(command, check=True, capture_output=True, timeout=30)


def settled_by(section):
    """The change of `gateway.toml` by which this facilitator settles."""
    text = (BENCH / "gateway.toml").read_text()
    simulated = text[text.index("[facilitators.noop.simulated]"):text.index("[answers]")]
    return simulated, f"[facilitators.noop]\n{section}\n\n"


def settled_at(facilitator):
    return settled_by(f'http = {{ url = "{facilitator.url("")}" }}')


def with_tls(server_changes=()):
    """The changes by which a gateway speaks TLS."""
    return [("http://127.0.0.1:{listen}", "https://127.0.0.1:{listen}"),
            ("\n[ledger]", CERTIFICATES), *server_changes]
