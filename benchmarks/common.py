"""Shared parts of the benchmarks: processors, processes, figures, tables, result files.

A server runs in its own process on processor 0. Every run of a client is a fresh process on
processor 1, so that no run inherits the heap of another. Clients take turns, and ratios are taken
within each turn: a machine that is busy for a while slows both clients.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .measured_code import measured_code

SERVER_CORE, CLIENT_CORE = 0, 1
RESULTS = Path(__file__).parent / "results"
LOCAL = RESULTS / "local"
"""Folder for figures of this machine. Not committed."""

MEGABYTE = 2**20

Row = Mapping[str, Any]


def pin(core: int | None) -> None:
    """Pin this process to one processor, if the system has that processor and allows pinning."""
    if core is not None and hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def has_uvloop() -> bool:
    """Return True if uvloop is installed."""
    return find_spec("uvloop") is not None


def runner(*, uvloop: bool) -> asyncio.Runner:
    """Return a runner of uvloop if chosen and installed, else of asyncio's own loop."""
    if not uvloop or not has_uvloop():
        return asyncio.Runner()
    import uvloop as fast  # noqa: PLC0415 - optional

    return asyncio.Runner(loop_factory=fast.new_event_loop)


class Server(AbstractContextManager["Server"]):
    """A server process on its own processor.

    Args:
        arguments: Arguments for `python -m benchmarks.server`.
    """

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "benchmarks.server", "--core", str(SERVER_CORE)]
        self._command += arguments
        self.url = ""

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - our own module
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("the server did not start; see its messages above")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=10)  # closes its standard input, which ends it

    def cpu(self) -> float:
        """Processor seconds used by the server so far. 0.0 if the system has no /proc."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_alone(module: str, *arguments: str, timeout: float = 290.0) -> dict[str, Any]:
    """Run a module in a fresh process. Returns the JSON object in its last line of output."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=timeout, check=True)  # noqa: S603 - our own module
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


class CpuMeter:
    """Measure processor time and wall time of this process between `start` and `stop`."""

    def start(self) -> None:
        """Start the clocks."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, pages: int) -> dict[str, float]:
        """Return `cpu_us` per page and `pages_per_second` of wall time."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return {"cpu_us": cpu / pages * 1e6, "pages_per_second": pages / wall}


def take_turns(
    clients: Sequence[str], turns: int, run: Callable[[str], dict[str, float]]
) -> dict[str, list[dict[str, float]]]:
    """Run every client once per turn. The order rotates, so that none is always first."""
    results: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    for turn in range(turns):
        first = turn % len(clients)
        for client in [*clients[first:], *clients[:first]]:
            results[client].append(run(client))
    return results


def compare(
    results: Mapping[str, Sequence[Mapping[str, float]]], figure: str, against: str
) -> list[dict[str, Any]]:
    """Return one row per client: median, quartiles, and median ratio to the baseline."""
    rows = []
    for client, runs in results.items():
        values = [run[figure] for run in runs]
        ratios = [
            value / base[figure] for value, base in zip(values, results[against], strict=True)
        ]
        low, middle, high = quartiles(values)
        rows.append(
            {
                "client": client,
                figure: middle,
                "from": low,
                "to": high,
                "ratio": statistics.median(ratios),
                "pages_per_second": statistics.median(run["pages_per_second"] for run in runs),
            }
        )
    return rows


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return first quartile, median and third quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def table(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Format rows as a Markdown table.

    Args:
        rows: Rows to show.
        columns: Heading of each column by key, with a format after a `|` (`"CPU, us|.1f"`).
    """
    heads = [heading.partition("|")[0] for heading in columns.values()]
    forms = [heading.partition("|")[2] for heading in columns.values()]
    cells = [
        [
            "" if row.get(key) is None else format(row[key], form)
            for key, form in zip(columns, forms, strict=True)
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = [heads, ["-" * width for width in widths], *cells]
    return "\n".join(
        "| "
        + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def promise(what: str, results: float, most: float) -> dict[str, Any]:
    """Compare a measured value with its promised maximum."""
    return {"what": what, "found": results, "most": most, "holds": results <= most}


def report_promises(verdicts: Sequence[Row]) -> int:
    """Print which promises promise. Returns the exit status: 1 if one is missed."""
    for must in verdicts:
        verdict = "holds" if must["holds"] else "MISSED"
        print(f"{verdict}: {must['what']}: {must['found']:.3g}, at most {must['most']:.3g}")
    return 0 if all(must["holds"] for must in verdicts) else 1


def save_ratios(name: str, ratios: Mapping[str, float]) -> None:
    """Save the ratios of a short run, to be compared by `python -m benchmarks --quick`."""
    LOCAL.mkdir(parents=True, exist_ok=True)
    path = LOCAL / f"{name}-quick.json"
    path.write_text(json.dumps(dict(ratios), indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that the figures were measured with."""
    versions: dict[str, str | None] = {}
    for name in ("aiohttp", "msgspec", "aiolimiter", "yarl", "uvloop"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "versions": versions,
    }


def command_line() -> str:
    """Return the command that runs this benchmark, as a reader would type it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = "benchmarks" if spec is None else spec.name.removesuffix(".__main__")
    return " ".join(["python", "-m", name, *sys.argv[1:]])


def write(name: str, workload: str, result: Mapping[str, Any], tables: Sequence[str] = ()) -> Path:
    """Write a result file: the workload in words, the machine, the code, the figures.

    Args:
        name: Name of the file.
        workload: The workload in words.
        result: The figures.
        tables: Tables of the figures, in Markdown, for the pages of the documentation.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "workload": workload,
        "command": command_line(),
        "machine": machine(),
        "code": measured_code(name),
        "tables": [text.splitlines() for text in tables],
        **result,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
