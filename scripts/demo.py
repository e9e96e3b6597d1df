"""What `make demo` runs: a walk over 40 categories of a local sandbox that misbehaves.

Nothing leaves this machine and no token is needed. Each command is shown before it runs, so that
it can be repeated by hand.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path("demo")
ITEMS = HERE / "items.jsonl"
IDS = HERE / "categories.txt"
TMAPI = Path(sys.executable).with_name("tmapi")

# A limit of 8 requests at once, replies that take about 50 ms, and one in ten going wrong.
SANDBOX = shlex.split("""
    sandbox --categories 40 --mean 250 --limit 8 --latency 0.05 --latency-sigma 0.5
    --fault 417=0.02 --fault 499=0.02 --fault 500=0.02 --fault cut=0.02 --fault html=0.02
""")


def main() -> int:
    """Run the demonstration; returns its exit code."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:  # titles are Chinese, and not every terminal can show that
        reconfigure(errors="replace")
    os.environ.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    HERE.mkdir(exist_ok=True)
    say("A sandbox that behaves as the API does: at most 8 requests at once, one reply in ten bad.")
    with sandbox() as url:
        categories = fetch(url, "/__catalogue__")["categories"]
        IDS.write_text("".join(f"{cat_id}\n" for cat_id in categories), encoding="utf-8")
        say(f"Walking its {len(categories)} categories.")
        os.environ.update(TMAPI_BASE_URL=url, TMAPI_TOKEN="sandbox")  # noqa: S106 - opens nothing
        with ITEMS.open("wb") as file:
            status = tmapi("items", f"@{IDS}", stdout=file)
        told = fetch(url, "/__stats__")
    return status or show(sum(categories.values()), told)


def say(text: str) -> None:
    """Print what comes next, above what the commands print."""
    print(f"\n== {text}", flush=True)


def command(*arguments: str, into: str = "") -> list[str]:
    """Show a tmapi command as one would type it, and return it as one runs it."""
    print(f"$ tmapi {shlex.join(arguments)}{into}", flush=True)
    return [str(TMAPI), *arguments]


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox; its URL is the first line that it prints."""
    with subprocess.Popen(command(*SANDBOX), stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            if not url:
                sys.exit("the sandbox did not start")
            print(url)
            yield url
        finally:
            server.terminate()


def tmapi(*arguments: str, stdout: IO[bytes]) -> int:
    """Run one command to its end, its rows going into a file; returns its exit code."""
    line = command(*arguments, into=f" > {stdout.name}")
    return subprocess.run(line, stdout=stdout, check=False).returncode


def fetch(url: str, path: str) -> Any:
    """Ask the sandbox about itself."""
    with urllib.request.urlopen(url + path, timeout=10) as reply:
        return json.load(reply)


def show(expected: int, told: dict[str, Any]) -> int:
    """Show what came, beside what there was; returns 0 when nothing is missing."""
    lines = ITEMS.read_text(encoding="utf-8").split("\n")[:-1]
    found = len({json.loads(line)["item_id"] for line in lines})
    say(f"The items are in {ITEMS}. The first three:")
    for line in lines[:3]:
        row = json.loads(line)
        print(f"{row['item_id']:>15}  {row['price_info_sale_price'] or '-':>8} CNY  {row['title']}")
    say("Beside what the sandbox knows:")
    print(f"items in its catalogue   {expected}")
    print(f"items in the file        {found}")
    print(f"requests it answered     {told['requests']}, with codes {told['codes']}")
    print(f"most at once             {told['peak_in_flight']} (its limit is 8)")
    return 0 if found == expected else 1


if __name__ == "__main__":
    sys.exit(main())
