"""Program of `make demo`: a harvest of 40 categories from a local sandbox with faults.

The demo kills the harvest in the middle, starts it again, and compares the rows with the catalogue
of the sandbox. Nothing leaves this machine and no token is needed. Each command is printed before
it runs, so that it can be repeated by hand.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path("demo")
IDS = HERE / "categories.txt"
JOURNAL = HERE / "1688.journal"
ITEMS = HERE / "items.jsonl"
REPORT = HERE / "report.html"
TMAPI = Path(sys.executable).with_name("tmapi")

# A limit of 8 requests at once, replies that take about 50 ms, and one in ten going wrong.
SANDBOX = shlex.split("""
    sandbox --categories 40 --mean 250 --limit 8 --latency 0.05 --latency-sigma 0.5
    --fault 417=0.02 --fault 499=0.02 --fault 500=0.02 --fault cut=0.02 --fault html=0.02
""")
HARVEST = ["harvest", f"@{IDS}", "--journal", str(JOURNAL)]
KILL_AFTER = 120  # pages, of about 400


def main() -> int:
    """Run the demonstration. Returns its exit code."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:  # titles are Chinese, and not every terminal can show that
        reconfigure(errors="replace")
    os.environ.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    HERE.mkdir(exist_ok=True)
    for path in HERE.glob(f"{JOURNAL.name}*"):
        path.unlink()
    say("A sandbox that behaves like the API: at most 8 requests at once, one reply in ten is bad.")
    with sandbox() as url:
        os.environ.update(TMAPI_BASE_URL=url, TMAPI_TOKEN="sandbox")  # noqa: S106 - opens nothing
        categories = fetch(url, "/__catalogue__")["categories"]
        IDS.write_text("".join(f"{cat_id}\n" for cat_id in categories), encoding="utf-8")
        say(f"Harvest its {len(categories)} categories, and kill the harvest in the middle.")
        begin_and_kill(url)
        say("The journal after the kill:")
        status = tmapi_status()
        say("Run the same command again to continue.")
        status = status or tmapi(*HARVEST)
        stats = fetch(url, "/__stats__")
    say("The journal's rows, as JSON lines:")
    status = status or tmapi("export", str(JOURNAL), "--to", str(ITEMS))
    say("A report as one HTML page, to open in a browser:")
    status = status or tmapi("report", str(JOURNAL), "-o", str(REPORT))
    return status or show(sum(categories.values()), stats)


def say(text: str) -> None:
    """Print the heading of the next step."""
    print(f"\n== {text}", flush=True)


def command(*arguments: str) -> list[str]:
    """Print a tmapi command as typed in a shell. Returns it as an argument list."""
    print(f"$ tmapi {shlex.join(arguments)}", flush=True)
    return [str(TMAPI), *arguments]


def tmapi(*arguments: str) -> int:
    """Run one command to its end. Returns its exit code."""
    return subprocess.run(command(*arguments), check=False).returncode


def tmapi_status() -> int:
    """Run `tmapi status` and print its last lines: the table has one line per category."""
    line = command("status", str(JOURNAL))
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, encoding="utf-8")
    lines = done.stdout.splitlines()
    print("\n".join(["...", *lines[-3:]]))
    return done.returncode


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox. Yields its URL, which is its first line of output."""
    with subprocess.Popen(command(*SANDBOX), stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            if not url:
                sys.exit("the sandbox did not start")
            print(url)
            yield url
        finally:
            server.terminate()


def begin_and_kill(url: str) -> None:
    """Start the harvest, and kill it after some pages."""
    with subprocess.Popen(command(*HARVEST)) as harvest:
        while harvest.poll() is None and fetch(url, "/__stats__")["billed"] < KILL_AFTER:
            time.sleep(0.05)
        harvest.kill()
    if sys.stderr.isatty():  # the progress display was killed in the middle of a line
        print()
    print(f"killed (kill -9) after {fetch(url, '/__stats__')['billed']} pages had been billed")


def fetch(url: str, path: str) -> Any:
    """Get a JSON document from the sandbox."""
    with urllib.request.urlopen(url + path, timeout=10) as reply:
        return json.load(reply)


def show(expected: int, stats: dict[str, Any]) -> int:
    """Compare the rows with the catalogue. Returns 0 if nothing is missing."""
    rows = [json.loads(line) for line in ITEMS.read_text(encoding="utf-8").split("\n") if line]
    unique = len({row["item_id"] for row in rows})
    print(f"\nThe first three rows of {ITEMS}:")
    for row in rows[:3]:
        print(f"{row['item_id']:>15}  {row['price_info_sale_price'] or '-':>8} CNY  {row['title']}")
    say("Compared with the sandbox:")
    print(f"items in its catalogue   {expected}")
    print(f"items harvested          {unique}, each once: {len(rows) == unique}")
    print(f"pages billed             {stats['billed']}, of these twice: {stats['extra_servings']}")
    print(f"requests it answered     {stats['requests']}, with codes {stats['codes']}")
    print(f"most at once             {stats['peak_in_flight']} (its limit is 8)")
    print(f"\nAll files are in {HERE}/; open {REPORT.resolve().as_uri()} in a browser.")
    return 0 if len(rows) == unique == expected else 1


if __name__ == "__main__":
    sys.exit(main())
