"""Scenarios of the gate: a known, unknown or changing limit, and the baselines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from statistics import median

from .checks import Check, table
from .measures import LATENCY, RTT, Case, Row, changing, measure, shared

LIMITS = (4, 8, 16, 32, 64, 128, 256)
WITHIN = 15.0
UTILISED = 0.97

FIRST, SHARE, HORIZON = 3, 0.002, 100
"""Refusals allowed in a run: a fixed number, plus a share of the requests. The horizon is the
number of requests per slot."""

QUIET_ROUNDS = 32
"""One refusal in so many round trips is allowed, where that is more than the share."""

NARROWED = 6
"""Refusals allowed beside it after the limit has fallen: the lost slots are soon tried again."""

RETURNS = {16: 40.0}
FOUND_AT_LAST = 60.0
"""Round trips within which any wider limit is in use, whatever narrowed the gate."""

FOLLOWS = 5.0
"""Round trips from an answered probe until 90 % of the doubled limit are in use."""


@dataclass
class ScenarioReport:
    """Result of a scenario: tables and checked promises."""

    title: str
    tables: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True)
class Runner:
    """Run a measurement over many seeds in a pool of processes."""

    pool: Executor
    seeds: int

    def rows(
        self, function: Callable[..., Row], case: object, *args: object, share: float = 1.0
    ) -> list[Row]:
        """Return one row per seed. Long cases use only a `share` of the seeds."""
        seeds = max(1, int(self.seeds * share))
        chunk = max(1, seeds // 20)
        call = functools.partial(_call, function, case, args)
        return list(self.pool.map(call, range(seeds), chunksize=chunk))


def _call(function: Callable[..., Row], case: object, args: Sequence[object], seed: int) -> Row:
    return function(case, seed, *args)


def column(rows: Sequence[Row], name: str) -> list[float]:
    """Return one number of every row."""
    return [row[name] for row in rows]


def allowed(rows: Sequence[Row], more: float = 0.0) -> list[float]:
    """Return the refusals that learning may cost in each run."""
    return [
        FIRST + max(SHARE * row["requests"], row["round trips"] / QUIET_ROUNDS) + more
        for row in rows
    ]


def findable(limit: int, latest: float) -> float:
    """Return the round trips in which a doubled limit is found within the allowed refusals.

    A client that keeps to the limit gets the same answers when the limit is twice as wide: to look
    is to send one too many, and costs a 503 whenever the limit is what it was. So nobody looks more
    often than refusals are allowed: in the long run once in 500 answers. Of what a run of 100
    answers a slot allows, one refusal finds the limit and one makes sure of it; the others, and the
    next to be granted, are spread evenly.
    """
    allowed = int(FIRST + SHARE * HORIZON * limit)
    granted = (allowed + 1 - FIRST) / SHARE / limit
    rounds = granted / (allowed - 1)
    if latest > granted:
        rounds = max(rounds, 1 / SHARE / limit)
    # A tenth more: counted in answers, and those of a narrow gate come unevenly.
    return min(max(WITHIN, 1.1 * rounds + FOLLOWS), RETURNS.get(2 * limit, FOUND_AT_LAST))


def _share(limit: int) -> float:
    """Return the share of seeds to run: a tenth for wide limits, whose runs are long and alike."""
    return 1.0 if limit <= 256 else 0.1


def known(runner: Runner) -> ScenarioReport:
    """Simulate a ceiling equal to the limit."""
    report = ScenarioReport("Known limit: concurrency=C")
    lines = []
    for limit in (1, *LIMITS, 1000, 2000):
        rows = runner.rows(measure, Case("ceiling C", limit), share=_share(limit))
        used, refused = column(rows, "overall"), column(rows, "refusals")
        lines.append((limit, median(used), min(used), max(refused)))
        report.checks += [
            Check(f"C={limit}: utilisation while work remains", used, UTILISED, at_least=True),
            Check(f"C={limit}: 503s", refused, 0),
        ]
    report.tables.append(table(("C", "utilisation", "worst", "most 503s"), lines))
    return report


def unknown(runner: Runner) -> ScenarioReport:
    """Simulate limits that the client does not know."""
    report = ScenarioReport('Unknown limit: concurrency="auto"')
    lines = []
    for limit in (1, 2, 3, *LIMITS, 1000, 2000):
        rows = runner.rows(measure, Case("auto", limit), share=_share(limit))
        rise, used, refused = (column(rows, k) for k in ("rise", "utilisation", "refusals"))
        bounds = allowed(rows)
        lines.append(
            (limit, median(rise), max(rise), median(used), min(used), median(refused),
             max(refused), min(bounds))
        )  # fmt: skip
        if limit in LIMITS:
            report.checks += [
                Check(f"C={limit}: round trips until 90 % of C", rise, WITHIN),
                Check(f"C={limit}: utilisation from then on", used, UTILISED, at_least=True),
                Check(f"C={limit}: 503s, at most 3 + 0.2 %", refused, bounds),
            ]
    header = ("C", "90 % after", "worst", "utilisation", "worst", "503s", "most", "allowed")
    report.tables.append(table(header, lines))
    return report


def _changes(runner: Runner, factor: float, when: Sequence[tuple[float, float]]) -> ScenarioReport:
    word = "halves" if factor < 1 else "doubles"
    report = ScenarioReport(f"The limit {word}, unknown to the client")
    lines = []
    for earliest, latest in when:
        span = f"{earliest:.0f}-{latest:.0f}"
        for limit in LIMITS:
            within = WITHIN if factor < 1 else findable(limit, latest)
            share = 1.0 if latest <= HORIZON else 0.2
            case = Case("auto", limit)
            rest = max(60.0, within)
            rows = runner.rows(changing, case, factor, (earliest, latest), rest, share=share)
            rise, used, refused = (column(rows, k) for k in ("rise", "utilisation", "refusals"))
            bounds = allowed(rows, limit / 2 + NARROWED if factor < 1 else 0)
            inside = sum(r <= WITHIN for r in rise) / len(rise)
            lines.append(
                (f"{limit} at {span}", median(rise), max(rise), within, inside, median(used),
                 min(used), max(refused), min(bounds))
            )  # fmt: skip
            report.checks += [
                Check(f"C={limit} {word} at {span}: back to 90 % within", rise, within),
                Check(f"C={limit} {word} at {span}: utilisation then", used, UTILISED, True),
                Check(f"C={limit} {word} at {span}: 503s of the run", refused, bounds),
            ]
    header = ("C", "90 % after", "worst", "bound", "within 15", "utilisation", "worst",
              "most 503s", "allowed")  # fmt: skip
    report.tables.append(table(header, lines))
    return report


def halves(runner: Runner) -> ScenarioReport:
    """Simulate a limit that halves, as when another job of the account starts."""
    return _changes(runner, 0.5, [(20, 60)])


def doubles(runner: Runner) -> ScenarioReport:
    """Simulate a limit that doubles, as when another job of the account ends."""
    return _changes(runner, 2.0, [(10, 30), (30, 90), (150, 400)])


def returns(runner: Runner) -> ScenarioReport:
    """Simulate others that take most of the limit, a share that changes all the time, and leave."""
    report = ScenarioReport("Others share the limit for a while, and leave")
    lines = []
    for rounds in (20.0, 150.0):
        for limit in LIMITS:
            within = RETURNS.get(limit, FOUND_AT_LAST)
            rows = runner.rows(shared, Case("auto", limit), rounds, share=0.5)
            rise, used, after = (column(rows, k) for k in ("rise", "utilisation", "after"))
            bounds = [NARROWED + bound for bound in allowed(rows, limit / 2)]
            lines.append(
                (f"{limit} for {rounds:.0f}", median(rise), max(rise), within, median(used),
                 median(after), max(after))
            )  # fmt: skip
            name = f"C={limit} shared for {rounds:.0f}"
            report.checks += [
                Check(f"{name}: back to 90 % within", rise, within),
                Check(f"{name}: 503s from then on", after, bounds),
            ]
    header = ("C", "90 % after", "worst", "bound", "utilisation", "503s then", "most")
    report.tables.append(table(header, lines))
    return report


def clients(runner: Runner) -> ScenarioReport:
    """Compare this library with the baselines at one limit."""
    report = ScenarioReport(
        f"Clients beside each other: C=16, mean latency {LATENCY} s, way {RTT:.0%}"
    )
    lines = []
    names = ("auto", "ceiling C", "ceiling 4C", "semaphore C", "semaphore C+1", "semaphore 2C",
             "fixed rate 90 %", "AIMD")  # fmt: skip
    for name in names:
        rows = runner.rows(measure, Case(name, 16), share=0.2)
        overall, share = column(rows, "overall"), column(rows, "a page")
        lines.append((name, median(overall), min(overall), median(share), max(share)))
    header = ("client", "utilisation", "worst", "503s a page", "most")
    report.tables.append(table(header, lines))
    return report


def way(runner: Runner) -> ScenarioReport:
    """Vary the share of the network in the latency, which no client can make up for."""
    report = ScenarioReport("The way there and back as a share of the latency")
    lines = []
    for rtt in (0.0, 0.005, 0.02, 0.05, 0.1):
        for limit in (16, 64, 256):
            row = [f"{rtt:.1%}, C={limit}"]
            numbers = []
            for name in ("semaphore C", "auto"):
                rows = runner.rows(measure, Case(name, limit, rtt=rtt), share=0.1)
                numbers.append(median(column(rows, "utilisation")))
            refused = column(rows, "refusals")
            over = sum(r > a for r, a in zip(refused, allowed(rows), strict=True)) / len(rows)
            lines.append((*row, *numbers, median(refused), max(refused), min(allowed(rows)), over))
    header = ("way", "semaphore C", "auto", "503s", "most", "allowed", "seeds over")
    report.tables.append(table(header, lines))
    return report


TROUBLES: dict[str, Case] = {
    "none": Case("auto", 16, requests=200),
    "ceiling 4C": Case("ceiling 4C", 16, requests=200),
    "latency 50 ms": Case("auto", 16, requests=200, latency=0.05),
    "0.5 % refused for no reason": Case("auto", 16, requests=200, world={"spurious": 0.005}),
    "2 % refused for no reason": Case("auto", 16, requests=200, world={"spurious": 0.02}),
    "5 % refused for no reason": Case("auto", 16, requests=200, world={"spurious": 0.05}),
    "10 % answered with an error": Case("auto", 16, requests=200, world={"failures": 0.1}),
    "Retry-After: 1": Case("auto", 16, requests=200, world={"retry_after": 1.0}),
    "Retry-After: 1, latency 50 ms": Case(
        "auto", 16, requests=200, latency=0.05, world={"retry_after": 1.0}
    ),
    "everything refused for 20 trips": Case(
        "auto", 16, requests=200, world={"closed": (30 * LATENCY, 50 * LATENCY)}
    ),
    "queues instead of refusing": Case("auto", 16, requests=400, world={"queues": True}),
    "5 % abandoned, ghosts": Case("auto", 16, requests=200, world={"cancelled": 0.05}),
    "5 % abandoned, ceiling C": Case("ceiling C", 16, requests=200, world={"cancelled": 0.05}),
    "bursts of 400, idle between": Case(
        "auto", 16, bursts=tuple((60.0 * i, 400) for i in range(8))
    ),
    "3 slots lost one by one": Case("auto", 16, ((40, 15), (50, 14), (60, 13)), requests=200),
}


def troubles(runner: Runner) -> ScenarioReport:
    """Simulate other troubles at C=16."""
    report = ScenarioReport("Troubles, C=16: utilisation of the whole run and of its last limit")
    lines = []
    for name, case in TROUBLES.items():
        rows = runner.rows(measure, case, share=0.2)
        overall = column(rows, "overall")
        refused, share = column(rows, "refusals"), column(rows, "share")
        lines.append((name, median(overall), min(overall), median(refused), median(share)))
    header = ("trouble", "utilisation", "worst", "503s", "a request")
    report.tables.append(table(header, lines))
    return report
