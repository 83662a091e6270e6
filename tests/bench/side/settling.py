"""Payments that are settled on a chain: the measure behind `settle`, which says what of."""

import json
import os
import resource
import subprocess
import sys
import time
import urllib.request

from . import load
from .machine import E2E, NODE, free_port, say, tool
from .report import Goal
from .scale import AS_DEPLOYED
from .server import spent
from .stage import Stage, settled_by

ANVIL = E2E / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
PAY_TO = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
PAYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PRICE = 50_000
# Anvil's third and fourth account; their money is play money.
OURS = ("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")
THEIRS = ("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
          "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a")
# What Base's blocks hold.
BLOCK_GAS = 150_000_000
IN_FLIGHT, MEMORY_SECONDS = 1000, 5
QUIET_SECONDS_MAX = 120
# Answers are kept, as they are by default.
KEPT = ('max = "off"', 'max = "1MiB"')


class Chain:
    def __init__(self, stage):
        port = free_port()
        command = [str(ANVIL), "--port", str(port), "--chain-id", "84532", "--silent",
                   "--gas-limit", str(BLOCK_GAS)]
        self.server = stage.start(command, port).wait()
        senders = f"{OURS[0]},{THEIRS[0]}"
        funded = [str(NODE), str(E2E / "chain.mjs"), self.server.url(""), senders, *[PAYER] * 5]
        subprocess.run(funded, check=True, timeout=60, stdout=subprocess.DEVNULL)
        self.ask("evm_setAutomine", False)
        self.ask("evm_setIntervalMining", 1)

    def ask(self, method, *params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.server.url(""), body, {"content-type": "application/json"})
        answer = json.load(urllib.request.urlopen(request, timeout=30))
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']}")
        return answer["result"]

    def balance(self):
        data = "0x70a08231" + PAY_TO[2:].lower().rjust(64, "0")
        return int(self.ask("eth_call", {"to": USDC, "data": data}, "latest"), 16)

    def transactions(self, sender):
        return int(self.ask("eth_getTransactionCount", sender, "latest"), 16)


def size(options):
    """How long, and with how many clients, when nothing was said."""
    options.settle_seconds = 3 if options.quick else 10
    options.settle_connections = 512 if options.quick else 4096


def measured(binaries, options):
    """A row for each way to settle."""
    rows = {}
    with Stage(binaries, options.log) as stage:
        for key, value in AS_DEPLOYED.items():
            os.environ.setdefault(key, value)
        (stage.home / "paid").write_text("served\n")
        (stage.home / "signer.key").write_text(OURS[1])
        chain, direct = Chain(stage), stage.static()
        peer = free_port()
        command = [str(NODE), str(E2E / "facilitator.mjs"), chain.server.url(""), str(peer)]
        peer = stage.start(command, peer, {"X402_PRIVATE_KEY": THEIRS[1]}).wait()
        own = 'chain = {{ rpc = ["{}"], signer = {{ file = "signer.key" }}, poll = "100ms", ' \
              'gas = {{ fee_max = "100gwei" }}, batch = {{ max = {} }}, in_flight_max = {} }}'
        theirs = f'http = {{ url = "{peer.url("")}", settle_timeout = "60s" }}'
        variants = [
            ("tollgate, batches of 50", own.format(chain.server.url(""), 50, 64), OURS[0]),
            ("tollgate, one by one", own.format(chain.server.url(""), 1, 1000), OURS[0]),
            ("TypeScript facilitator", theirs, THEIRS[0]),
        ]
        only = getattr(options, "only", None)
        for name, section, sender in variants:
            if not only or only in name:
                say(f"settled by {name}")
                rows[name] = measure(options, stage, chain, (direct, section, sender))
    return rows


def measure(options, stage, chain, variant):
    direct, section, sender = variant
    connections, seconds = options.settle_connections, options.settle_seconds
    changes = [settled_by(section), KEPT]
    gateway = stage.tollgate("settle", direct, "sqlite:", changes).wait("/readyz")
    try:
        payments, url = stage.home / "payments", gateway.url("/paid")
        count = seconds * 2500 + 4 * connections + IN_FLIGHT * 4
        tool(stage.binaries, "payments", "sign", url, count, payments)
        # What the first payment touches, such as the code of it, is there from then on.
        loaded(gateway, payments, url, (1, 1))
        quiet(chain)
        idle = gateway.memory()
        most, _ = loaded(gateway, payments, url, (IN_FLIGHT, MEMORY_SECONDS))
        quiet(chain)
        paid, sent = chain.balance(), chain.transactions(sender)
        before = (gateway.run_nanos(), chain.server.run_nanos(), client_seconds())
        _, told = loaded(gateway, payments, url, (connections, seconds))
        after = (gateway.run_nanos(), chain.server.run_nanos(), client_seconds())
        # Those under way when the time was over settle too.
        settled = (quiet(chain) - paid) // PRICE
        if settled < told.good:
            sys.exit(f"{told.good} receipts, {settled} transfers")
        return {"rate": told.good * 1e6 / told.micros, "wrong": told.requests - told.good,
                "p50": told.p50, "each": settled / max(1, chain.transactions(sender) - sent),
                "idle": idle / 1e6, "memory": (most - idle) / 1e6,
                "gateway": spent(before[0], after[0]) / told.micros / 1e3,
                "node": spent(before[1], after[1]) / told.micros / 1e3,
                "client": (after[2] - before[2]) / told.micros * 1e6}
    finally:
        stage.end(gateway)


def loaded(gateway, payments, url, how):
    """Loads the gateway with payments that nobody has sent: the most memory it had, and what wrk
    told."""
    running = load.start_wrk(url, how, ("payments", payments), "60s")
    most, deadline = 0, time.monotonic() + how[1] + load.SPARE_SECONDS
    while running.poll() is None and time.monotonic() < deadline:
        most = max(most, gateway.memory())
        time.sleep(0.05)
    told = load.told_by_wrk(running, 200, how)
    lines = payments.read_text().splitlines(keepends=True)
    payments.write_text("".join(lines[told.requests + how[0]:]))
    return most, told


def quiet(chain):
    """What the payee has when nothing moves any more."""
    balance, deadline = -1, time.monotonic() + QUIET_SECONDS_MAX
    while balance != (balance := chain.balance()):
        if time.monotonic() > deadline:
            sys.exit(f"money still moves after {QUIET_SECONDS_MAX} s")
        time.sleep(3)
    return balance


def client_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(rows, _):
    """Prints the table, and gives what it is held against."""
    print(f"{'settled by':<26}{'paid/s':>9}{'not 200':>9}{'p50 ms':>9}{'per tx':>9}{'MB idle':>9}"
          f"{'MB more':>9}{'gateway':>9}{'node':>9}{'client':>9}")
    for name, row in rows.items():
        print(f"{name:<26}{row['rate']:>9.1f}{row['wrong']:>9}{row['p50']:>9.0f}"
              f"{row['each']:>9.1f}{row['idle']:>9.1f}{row['memory']:>9.1f}"
              f"{row['gateway']:>9.2f}{row['node']:>9.2f}{row['client']:>9.2f}")
    if len(rows) < 3:
        return []
    batched, single, theirs = (row["rate"] for row in rows.values())
    return [Goal("settled/s, batches / TypeScript facilitator", [batched / max(theirs, 0.1)], least=10,
                 digits=1),
            Goal("settled/s, batches / one by one", [batched / max(single, 0.1)], least=4, digits=1)]
