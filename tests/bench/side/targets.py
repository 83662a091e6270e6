"""The lines of the table that are loads: what is asked of whom, and what was measured of it."""

import statistics
import sys

from . import load
from .machine import has_published_clients, say, tool
from .scale import keyed, with_routes
from .server import spent
from .stage import LARGE_MB, PROXY, REFUSE, settled_at, with_tls

# More of a second than is served; a load ends when its payments are used up.
PAID, PAID_DURABLE, PAID_ASKED, PAID_EXPRESS = 15000, 10000, 8000, 2500
VERIFY_MS, SETTLE_MS = 50, 300
# So long that the first wait of all, for one answer's time without any answer, hardly counts.
WAITING_SECONDS = 7
FEW_ROUTES, MANY_ROUTES = 10, 10000
FEW_KEYS = 10


class Target:
    """A server, a path, the status that it must answer with, and the load."""

    def __init__(self, name, server, path, status, made=None):
        self.name, self.server, self.path = name, server, path
        self.status, self.made = status, made or Load()
        self.cpu, self.rate, self.p50, self.p99, self.mb = [], [], [], [], []
        self.wrong = 0

    def url(self):
        return self.server.url(self.path)

    def look(self):
        """One request, to be sure that what is measured is what is meant."""
        status, _, body = self.server.get(self.path)
        expected = 402 if isinstance(self.made, Payments) else self.status
        if status != expected:
            sys.exit(f"{self.name}: status {status}, not {expected}: {body[:200]}")

    def measure(self, options):
        self.made.prepare(self, options)
        before = self.server.run_nanos()
        told = self.made.run(self, options)
        after = self.server.run_nanos()
        if told.requests == 0:
            sys.exit(f"{self.name}: nothing was answered")
        if told.good < told.requests:
            self.wrong += told.requests - told.good
            say(f"{self.name}: {told.requests - told.good} of {told.requests} are no {self.status}")
        self.cpu.append(spent(before, after) / 1e3 / told.requests)
        self.rate.append(told.good * 1e6 / told.micros)
        self.p50.append(told.p50)
        self.p99.append(told.p99)
        self.mb.append(told.bytes / told.micros)

    def median(self, figures):
        return statistics.median(figures)


class Load:
    """HTTP/1 without a pause, on so many connections."""

    def __init__(self, connections=0, seconds=0, words=()):
        self.connections, self.seconds, self.words = connections, seconds, words

    def size(self, options):
        return self.connections or options.connections, max(self.seconds, options.seconds)

    def prepare(self, target, options):
        pass

    def run(self, target, options):
        return load.wrk(target.url(), target.status, self.size(options), self.words)


class Payments(Load):
    """The same with a payment in each request, signed before."""

    def __init__(self, stage, per_second, **size):
        super().__init__(**size)
        self.stage, self.per_second = stage, per_second

    def prepare(self, target, options):
        connections, seconds = self.size(options)
        file = self.stage.home / "payments"
        count = self.per_second * seconds + 2 * connections
        tool(self.stage.binaries, "payments", "sign", target.url(), count, file)
        self.words = ("payments", file)


class Paced(Load):
    """HTTP/1 at a pace that leaves every server idle most of the time, so that nothing queues."""

    PER_CONNECTION, CONNECTIONS = 250, 4

    def __init__(self, stage):
        super().__init__(self.CONNECTIONS)
        self.log = stage.home / "h2load"

    def run(self, target, options):
        words = ("--h1", f"--rps={self.PER_CONNECTION}")
        return load.h2load(target.url(), target.status, self.size(options), words, self.log)


class Http2(Load):
    """HTTP/2, as many streams as the others have connections, eight on each."""

    STREAMS = 8

    def __init__(self, stage):
        super().__init__()
        self.log = stage.home / "h2load"

    def size(self, options):
        return max(1, options.connections // self.STREAMS), options.seconds

    def run(self, target, options):
        words = (f"-m{self.STREAMS}",)
        return load.h2load(target.url(), target.status, self.size(options), words, self.log)


def start(stage, options):
    """Starts every server; the order of the lines is the order of each round."""
    stage.files(free=1024, paid=1024, large=LARGE_MB * 1_000_000)
    stage.certificate()
    direct = stage.static()
    proxy = stage.nginx("proxy", PROXY, direct)
    bare = stage.bare(direct)
    ours = stage.tollgate("memory", direct).wait("/readyz")
    durable = stage.tollgate("durable", direct, "sqlite:").wait("/readyz")
    refusal = quoted(ours)
    targets = {
        "direct": Target("nginx, static file", direct, "/free", 200),
        "proxy": Target("nginx as proxy", proxy, "/free", 200),
        "bare": Target("bare pingora proxy", bare, "/free", 200),
        "free": Target("tollgate, free", ours, "/free", 200),
        "refuse": Target("nginx, return 402", stage.nginx("refuse", REFUSE, **refusal), "/paid", 402),
        "402": Target("tollgate, 402", ours, "/paid", 402),
        "paid": Target("tollgate, paid, no ledger", ours, "/paid", 200, Payments(stage, PAID)),
        "durable": Target("tollgate, paid, SQLite", durable, "/paid", 200,
                          Payments(stage, PAID_DURABLE)),
    }
    targets.update(asking(stage, direct))
    targets.update(multiplexed(stage, direct, refusal))
    whole = {"direct": ("nginx, file", direct), "proxy": ("nginx as proxy", proxy),
             "bare": ("bare pingora", bare), "free": ("tollgate, free", ours)}
    at = Paced.CONNECTIONS * Paced.PER_CONNECTION
    for key, (name, server) in whole.items():
        targets[f"{key} paced"] = Target(f"{name}, {at:,}/s", server, "/free", 200, Paced(stage))
    for key, (name, server) in whole.items():
        targets[f"{key} large"] = Target(f"{name}, {LARGE_MB} MB", server, "/large", 200, Load(4))
    targets.update(grown(stage, direct, options))
    return targets


def quoted(gateway):
    """The 402 of a gateway as nginx's configuration says it."""
    _, headers, body = gateway.get("/paid")
    body = body.replace("\\", "\\\\").replace("'", "\\'")
    return {"header": headers["PAYMENT-REQUIRED"], "body": body}


def asking(stage, direct):
    """Payments that a facilitator verifies and settles, at once or as late as on a chain."""
    prompt = stage.facilitator(0, 0)
    asks = stage.tollgate("asks", direct, changes=[settled_at(prompt)]).wait("/readyz")
    late = stage.facilitator(VERIFY_MS, SETTLE_MS)
    waits = stage.tollgate("waits", direct, "sqlite:", [settled_at(late)]).wait("/readyz")
    targets = {"asks": Target("tollgate, paid, asks", asks, "/paid", 200, Payments(stage, PAID_ASKED))}
    if has_published_clients():
        express = stage.express(prompt)
        targets["express"] = Target("@x402/express, 402", express, "/paid", 402)
        targets["express asks"] = Target("@x402/express, paid, asks", express, "/paid", 200,
                                         Payments(stage, PAID_EXPRESS))
    else:
        say("no lines of @x402/express without what `tests/run e2e` installs")
    for connections in (32, 1000):
        most = connections * 1000 // (VERIFY_MS + SETTLE_MS) + 1
        made = Payments(stage, most, connections=connections, seconds=WAITING_SECONDS)
        name = f"tollgate, {VERIFY_MS} + {SETTLE_MS} ms, {connections:,}"
        targets[f"waits {connections}"] = Target(name, waits, "/paid", 200, made)
    return targets


def multiplexed(stage, direct, refusal):
    """The same 402 over HTTP/2 and TLS."""
    peer = stage.nginx("refuse-tls", REFUSE, tls=True, **refusal)
    ours = stage.tollgate("tls", direct, changes=with_tls()).wait("/readyz")
    ours.is_tls = True
    return {"refuse h2": Target("nginx, return 402, h2", peer, "/paid", 402, Http2(stage)),
            "402 h2": Target("tollgate, 402, h2", ours, "/paid", 402, Http2(stage))}


def grown(stage, direct, options):
    """402s of the last of many routes, and of clients of whom many are counted."""
    found = {}
    for key, count in (("few routes", FEW_ROUTES), ("many routes", MANY_ROUTES)):
        server = stage.tollgate("routes", direct, changes=[with_routes(count)]).wait("/readyz")
        last = f"/v1/service-{count - 1}/items/7"
        found[key] = Target(f"tollgate, 402, {count:,} routes", server, last, 402)
    # A client is forgotten when its bucket is full again: the many are to be there until the end.
    for key, count, rate in (("few keys", FEW_KEYS, "1000000/day"), ("many keys", options.keys, "100/day")):
        server = stage.tollgate("keys", direct, changes=keyed(rate)).wait("/readyz")
        made = Load(words=("keys", count))
        found[key] = Target(f"tollgate, 402, {count:,} keys", server, "/paid", 402, made)
    return found
