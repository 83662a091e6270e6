"""Streams of events: the measure behind `streams`, which says what of."""

import statistics
import subprocess
import sys
import threading
import time

from .machine import free_port, say, tool
from .report import Goal
from .stage import Stage

FEW, FEW_EVENTS, FEW_PAUSE_MS = 10, 120, 25
MANY_EVENTS, MANY_PAUSE_MS = 6, 1000
EVENT_MS_MAX, STREAM_KIB_MAX = 5, 64
# One load takes ten or so; one that hangs ends the run.
STREAM_SECONDS_MAX = 60
# What is asked of whom, and what of `gateway.toml` is not as it stands there.
WAYS = {
    "direct": (None, ()),
    "free": ("/free", ()),
    "paid": ("/paid", ()),
    "paid before": ("/paid", [('price = "$0.05"', 'price = "$0.05"\nsettle = "before-upstream"')]),
}


def size(options):
    """How many streams, when nothing was said."""
    options.streams = 100 if options.quick else 1000


def measured(binaries, options):
    """A row for each way to the API."""
    rows = {}
    for name, (path, changes) in WAYS.items():
        say(f"streams, {name}")
        with Stage(binaries, options.log) as stage:
            rows[name] = measure(options, stage, path, changes)
    return rows


def measure(options, stage, path, changes):
    """Ages of events with few streams and with many, and the memory of a stream."""
    api = free_port()
    gateway = stage.tollgate("streams", api, "sqlite:", changes).wait() if path else None
    target = gateway.listen if gateway else api
    payments = []
    if path == "/paid":
        payments = [stage.home / "payments"]
        tool(stage.binaries, "payments", "sign", gateway.url(path), FEW + options.streams, *payments)
    command = [stage.binaries / "examples/streams", api, target, path or "/"]
    few, _ = loaded([*command, FEW, FEW_EVENTS, FEW_PAUSE_MS, *payments], gateway)
    if payments:
        lines = payments[0].read_text().splitlines()[FEW:]
        payments[0].write_text("\n".join(lines))
    idle = memory(gateway)
    many, held = loaded([*command, options.streams, MANY_EVENTS, MANY_PAUSE_MS, *payments], gateway)
    return few + many + [(held - idle) / options.streams / 1024, idle / 1024 ** 2]


def loaded(command, gateway):
    """What the clients told, and the memory that the gateway had while all were open: the median
    of the first half of that time, for in the second some end."""
    running = subprocess.Popen([*map(str, command)], text=True, stdout=subprocess.PIPE)
    hung = threading.Timer(STREAM_SECONDS_MAX, running.kill)
    hung.start()
    held = []
    try:
        if running.stdout.readline() != "open\n":
            sys.exit("the streams were not opened")
        while running.poll() is None:
            held.append(memory(gateway))
            time.sleep(0.05)
        if running.returncode:
            sys.exit("the streams broke off")
    finally:
        hung.cancel()
        running.kill()
        running.wait()
    ages = [int(word) / 1000 for word in running.stdout.read().split()]
    return ages, statistics.median(held[:max(1, len(held) // 2)])


def memory(server):
    """Bytes that a server holds."""
    return server.memory() if server else 0


def report(rows, options):
    """Prints the table, and gives what it is held against."""
    few, many = f"{FEW} streams, ms", f"{options.streams} streams, ms"
    print(f"{'':<13}{few:^32}{many:^32}{'':>12}{'idle':>8}")
    print(f"{'':<13}" + f"{'first p50':>10}{'p99':>6}{'event p50':>10}{'p99':>6}" * 2
          + f"{'KiB/stream':>12}{'MiB':>8}")
    for name, row in rows.items():
        ages = "".join(f"{age:>{width}.2f}" for age, width in zip(row, (10, 6) * 4))
        print(f"{name:<13}{ages}{row[8]:>12.1f}{row[9]:>8.1f}")
    ours = [row for name, row in rows.items() if name != "direct"]
    # A paid answer waits for its settlement; settled before, it does not.
    unwaited = [rows["free"], rows["paid before"]]
    return [
        Goal("first event of few streams, p99, ms", [max(row[1] for row in unwaited)], most=EVENT_MS_MAX),
        Goal("later event of few streams, p99, ms", [max(row[3] for row in ours)], most=EVENT_MS_MAX),
        Goal("KiB for a stream", [max(row[8] for row in ours)], most=STREAM_KIB_MAX, digits=1),
    ]
