"""The report: lines of figures, then ratios of the rounds with their spread beside what was aimed at."""

import re
import statistics

COLUMNS = {"cpu": ("CPU µs/req", 11, 1), "rate": ("req/s", 9, 0), "p50": ("p50 ms", 9, 2),
           "p99": ("p99 ms", 9, 2), "mb": ("MB/s", 8, 0), "mib": ("MiB", 8, 1)}
NAME = 34


class Goal:
    """Something that was measured once or in each round, and what it should be at most, or at
    least."""

    def __init__(self, name, values, most=None, least=None, digits=2):
        self.name, self.values, self.most, self.least, self.digits = name, values, most, least, digits

    def measured(self):
        return statistics.median(self.values)

    def is_met(self):
        if self.most is not None:
            return self.measured() <= self.most
        return self.measured() >= self.least

    def line(self):
        digits = self.digits
        low, high = f"{min(self.values):.{digits}f}", f"{max(self.values):.{digits}f}"
        spread = f"{low}..{high}" if len(self.values) > 1 else ""
        aim = f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"
        verdict = "" if self.is_met() else "   missed"
        return f"{self.name:<44}{self.measured():>10.{digits}f}{spread:>18}{aim:>10}{verdict}"


def print_goals(goals):
    """Prints each, and says whether all are met."""
    print(f"\n{'target':<44}{'measured':>10}{'min..max':>18}{'wanted':>10}")
    for goal in goals:
        print(goal.line())
    return all(goal.is_met() for goal in goals)


def print_table(rows):
    """Rows are a name and some of the columns."""
    print(f"{'target':<{NAME}}" + "".join(f"{head:>{width}}" for head, width, _ in COLUMNS.values()))
    for name, figures in rows:
        cells = (f"{figures[key]:>{width}.{digits}f}" if key in figures else " " * width
                 for key, (_, width, digits) in COLUMNS.items())
        wrong = figures.get("wrong")
        print((f"{name:<{NAME}}" + "".join(cells)).rstrip() + (f"   {wrong} wrong" if wrong else ""))


def rows_of(measured):
    """The table's rows of what `run` has measured."""
    rows = [load_row(key, target, measured.filled) for key, target in measured.targets.items()]
    rows.append(("one signature recovery", {"cpu": statistics.median(measured.recovery)}))
    for name, held in measured.crowds.items():
        for count, memory in held.items():
            what = f"{count:,} connections" if count else "idle"
            rows.append((f"{name}, {what}", {"mib": memory / 1024 ** 2}))
    for count, took in measured.starts.items():
        rows.append((f"tollgate, start, {count:,} routes", {"p50": statistics.median(took)}))
    for engine, told in measured.changes.items():
        rows.append((f"state changes in {engine}", changes(told)))
    return rows


def load_row(key, target, filled):
    row = {column: statistics.median(getattr(target, column)) for column in ("cpu", "rate", "p50", "p99")}
    if key.endswith("large"):
        row["mb"] = statistics.median(target.mb)
    if key in filled:
        row["mib"] = filled[key] / 1024 ** 2
    return target.name, {**row, "wrong": target.wrong}


def changes(told):
    """What `examples/ledger` printed."""
    rate, half, most = re.match(r"(\d+) .*?takes (\S+) \(median\), (\S+) \(", told).groups()
    return {"rate": float(rate), "p50": milliseconds(half), "p99": milliseconds(most)}


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(ns|µs|ms|s)", text).groups()
    return float(number) * {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1e3}[unit]


def goals_of(measured):
    """What the lines are held against; ratios are taken of the two in one round."""
    targets = measured.targets
    cpu = {key: target.cpu for key, target in targets.items()}
    tail = {key: target.p99 for key, target in targets.items()}
    above = [(paid - free) / one for paid, free, one in zip(cpu["paid"], cpu["free"], measured.recovery)]
    goals = [
        Goal("free / bare pingora", ratios(cpu["free"], cpu["bare"]), most=1.03),
        Goal("free / nginx as proxy", ratios(cpu["free"], cpu["proxy"]), most=1.6),
        Goal("402 / nginx return 402", ratios(cpu["402"], cpu["refuse"]), most=1.4),
        Goal("402 / nginx return 402, HTTP/2 with TLS", ratios(cpu["402 h2"], cpu["refuse h2"]), most=1),
        Goal("(paid - free) / recovery", above, most=1.15),
        Goal("SQLite / no ledger", ratios(cpu["durable"], cpu["paid"]), most=1.4),
    ]
    if "express" in cpu:
        goals += [
            Goal("@x402/express / tollgate, 402", ratios(cpu["express"], cpu["402"]), least=20, digits=1),
            Goal("@x402/express / tollgate, paid, asks", ratios(cpu["express asks"], cpu["asks"]),
                 least=20, digits=1),
        ]
    idle = measured.crowds["tollgate"]
    each = [(held - idle[0]) / count / 1024 for count, held in idle.items() if count]
    added = [(ours - bare) * 1e3 for ours, bare in zip(tail["free paced"], tail["bare paced"])]
    goals += [
        Goal("paid/s, 1,000 connections, 50 + 300 ms", targets["waits 1000"].rate, least=2500, digits=0),
        Goal("p99 of free above bare pingora's, paced, µs", added, most=150, digits=0),
        Goal("MiB idle", [idle[0] / 1024 ** 2], most=20, digits=1),
        Goal(f"KiB of an idle connection of {max(idle):,}", each[-1:], most=45, digits=1),
        # Two runs of one gateway differ by as much.
        Goal("402, the last of 10,000 routes / of 10", ratios(cpu["many routes"], cpu["few routes"]),
             most=1.03),
        Goal("start with 1,000 routes, ms", measured.starts[1000], most=50, digits=0),
    ]
    for engine, told in measured.changes.items():
        goals.append(Goal(f"state changes/s in {engine}", [changes(told)["rate"]], least=5000, digits=0))
    return goals


def ratios(ours, theirs):
    return [one / other for one, other in zip(ours, theirs)]
