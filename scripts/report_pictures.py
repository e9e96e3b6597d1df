"""Make the pictures of the report for the docs: docs/img/report-1280.png and its neighbours.

    python scripts/report_pictures.py [FOLDER]

Harvests some categories of a sandbox twice. In the second run prices and sales have moved, and some
items have come and gone. One category is cut short at the ceiling, one fails, one is empty. Then
Chromium takes pictures of the report. With FOLDER, the journal, the page, a dark picture and a
printed file stay there, to be looked at. Needs Chromium, and a font with Chinese characters.
Nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from tmapi_async import TMAPI, CategoryTree, category_items
from tmapi_async.harvest import Harvest, JournalCategories, JournalReader, write_report
from tmapi_async.sandbox import Faults, Sandbox

IMAGES = Path(__file__).parents[1] / "docs" / "img"
WIDTHS = {1280: 2400, 390: 2400}
DARK = ("--window-size=1280,1800", "--blink-settings=preferredColorScheme=0")
SIZES = {1031910: 2300, 2716177: 410, 2573063: 260, 1448888: 90, 2255275: 0}
FAILING = {1206813: 380}
OPTIONS: dict[str, Any] = {"limit": 8, "latency": 0.01, "latency_sigma": 0.5, "v1_ceiling": 2000}
FAULTS = Faults({"417": 0.02, "500": 0.02, "cut": 0.02}, script={(1206813, 12): "422"})
SHARES, CHANGED_PRICES, CHANGED_SALES, REPLACED = 97, 12, 60, 6
"""Of 97 items, those whose price changes, whose sales change, and in whose place new ones come."""


def main() -> None:
    """Make a journal and its report, and take the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no Chromium: apt-get install chromium")
    logging.getLogger("tmapi_async").setLevel(logging.ERROR)  # each sandbox has another port
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        page = make_report(folder)
        for width, height in WIDTHS.items():
            picture = IMAGES / f"report-{width}.png"
            run(chromium, page, f"--screenshot={picture}", f"--window-size={width},{height}")
            shrink(picture)
            print(f"wrote {picture}")
        run(chromium, page, f"--screenshot={folder / 'report-dark.png'}", *DARK)
        printed = folder / "report.pdf"
        run(chromium, page, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
        print(f"wrote {printed}: {printed.read_bytes().count(b'/Type /Page' + bytes([10]))} pages")


def make_report(folder: Path) -> Path:
    """Write a journal of two runs, and its report. Returns the page."""
    journal, page, replies = folder / "shop.journal", folder / "report.html", folder / "replies"
    for path in folder.glob("shop.journal*"):
        path.unlink()
    asyncio.run(harvest(journal, SIZES))
    replies.mkdir(exist_ok=True)
    record(journal, replies)
    asyncio.run(harvest(journal, SIZES, bodies=replies))
    asyncio.run(harvest(journal, FAILING))
    write_report(journal, page)
    return page


async def harvest(journal: Path, sizes: dict[int, int], **options: Any) -> None:
    """Harvest categories from a sandbox, and the tree of categories the first time."""
    async with (
        Sandbox(categories=SIZES | FAILING, faults=FAULTS, **OPTIONS, **options) as sandbox,
        TMAPI("sandbox", base_url=sandbox.url, shared=False) as api,
    ):
        await Harvest(api, map(category_items, sizes), journal=journal, refresh=bool(options)).run()
        if not options:
            with JournalCategories(journal) as cache:
                tree: CategoryTree = await api.categories(cache=cache)
                print(f"{len(tree)} categories")


def record(journal: Path, folder: Path) -> None:
    """Write the pages of a journal as recordings, as they may be some days later."""
    with JournalReader(journal) as reader:
        for page in reader.pages():
            name = f"category-items-v1-{page.listing.cat_id}-p{page.number}.json"
            (folder / name).write_bytes(some_days_later(page.body))


def some_days_later(body: bytes) -> bytes:
    """Move prices and sales, and put some new items in the place of others."""
    reply = msgspec.json.decode(body)
    for row in reply["data"]["items"]:
        dice, prices = row["item_id"] % SHARES, row["price_info"]
        if dice < CHANGED_PRICES and prices.get("sale_price"):
            factor = (0.72, 0.85, 0.9, 1.08, 1.15, 1.3)[dice % 6]
            prices["sale_price"] = f"{float(prices['sale_price']) * factor:.2f}"
        if dice < CHANGED_SALES and str(row["sales_count"]).isdigit():
            row["sales_count"] = str(int(row["sales_count"]) * (100 + dice) // 100)
        if dice >= SHARES - REPLACED:
            row["item_id"] += 10**9
            row["title"], row["sales_count"] = f"2026新品{row['title']}", str(dice)
    return msgspec.json.encode(reply)


def shrink(picture: Path) -> None:
    """Keep 64 colours of a picture, which makes it much smaller, if Pillow is installed."""
    if importlib.util.find_spec("PIL") is None:
        print("install Pillow for smaller files")
        return
    image = importlib.import_module("PIL.Image").open(picture).convert("RGB")
    image.quantize(64).save(picture, optimize=True)


def run(chromium: str, page: Path, *options: str) -> None:
    """Show a page in Chromium with some options, such as that to take a picture."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--virtual-time-budget=4000",
                f"--user-data-dir={profile}",
                *options,
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
