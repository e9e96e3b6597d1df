"""Record a command in a terminal of its own as an animated SVG.

    python scripts/record_terminal.py FILE.svg [--columns 92] [--rows 26] -- COMMAND...

The picture plays in every browser without a script: each frame is a group that a CSS animation
shows for as long as the terminal showed it. A reader who asks for no motion gets the last frame.
`make pictures` records the demo so. Needs a Unix terminal (`pty`).
"""

from __future__ import annotations

import argparse
import fcntl
import html
import itertools
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 0.25
"""Shortest time that a frame is shown, in seconds."""
LONGEST = 2.0
"""Longest time that a frame is shown: a pause of the command is not worth more."""
END = 6.0
"""Time that the last frame is shown before the recording begins again."""
WIDTH, HEIGHT, FONT = 8.4, 18, 14
"""Width and height of a cell and size of its letters, in units of the picture."""
MARGIN = 14
COLOURS = {
    "default": "#d6deeb",
    "black": "#637777",
    "red": "#ef5350",
    "green": "#22da6e",
    "brown": "#addb67",
    "blue": "#82aaff",
    "magenta": "#c792ea",
    "cyan": "#21c7a8",
    "white": "#ffffff",
}


class Frame(NamedTuple):
    """A state of the screen.

    Attributes:
        lines: SVG text of each row.
        seconds: Time that it is shown.
    """

    lines: tuple[str, ...]
    seconds: float


def output(command: list[str], columns: int, rows: int) -> Iterator[tuple[float, bytes]]:
    """Run a command in a pseudo-terminal. Yields what it writes, and the time since its start."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"}
    environment.pop("NO_COLOR", None)
    start = time.monotonic()
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
    ) as process:
        os.close(slave)
        while True:
            ready, _, _ = select.select([master], [], [], 0.05)
            try:
                data = os.read(master, 65536) if ready else b""
            except OSError:  # Linux's way to say that the other side is closed
                break
            if data:
                yield time.monotonic() - start, data
            elif process.poll() is not None:
                break
    os.close(master)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}: nothing was written")


def row_text(row: dict[int, pyte.screens.Char], columns: int) -> str:
    """Return a row of the screen as SVG text: a span for each run of one style."""
    cells = [row[column] for column in range(columns)]
    spans, column = [], 0
    for style, run in itertools.groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        group = list(run)
        text = "".join(cell.data for cell in group)
        width = len(group)
        if text.strip():
            if column + width == columns:
                width -= len(text) - len(text.rstrip())
                text = text.rstrip()
            colour = COLOURS.get(style[0], f"#{style[0]}")
            weight = ' font-weight="bold"' if style[1] else ""
            x = MARGIN + column * WIDTH
            length = width * WIDTH
            spans.append(
                f'<tspan x="{x:.1f}" textLength="{length:.1f}" fill="{colour}"{weight}>'
                f"{html.escape(text)}</tspan>"
            )
        column += len(group)
    return "".join(spans)


def frames(command: list[str], columns: int, rows: int) -> list[Frame]:
    """Record a command. Returns a frame for each time that its screen changed."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    shots: list[tuple[float, tuple[str, ...]]] = []
    for at, data in output(command, columns, rows):
        stream.feed(data)
        lines = tuple(row_text(screen.buffer[row], columns) for row in range(rows))
        if shots and at - shots[-1][0] < STEP:
            shots[-1] = (shots[-1][0], lines)
        elif not shots or lines != shots[-1][1]:
            shots.append((at, lines))
    ends = [at for at, _ in shots[1:]]
    return [
        Frame(lines, min(LONGEST, end - at) if end else END)
        for (at, lines), end in itertools.zip_longest(shots, ends)
    ]


def style(shown: list[Frame]) -> str:
    """Return the CSS that shows one frame after the other, and the last one without motion."""
    total = sum(frame.seconds for frame in shown)
    rules, begin = ["text{white-space:pre}.f{visibility:hidden}"], 0.0
    for number, frame in enumerate(shown):
        first, last = 100 * begin / total, 100 * (begin + frame.seconds) / total
        after = "visible" if frame is shown[-1] else "hidden"
        rules.append(
            f"@keyframes k{number}{{0%,{first:.3f}%{{visibility:hidden}}"
            f"{first + 0.001:.3f}%,{last:.3f}%{{visibility:visible}}"
            f"{min(100.0, last + 0.001):.3f}%,100%{{visibility:{after}}}}}"
            f"#f{number}{{animation:k{number} {total:.2f}s step-end infinite}}"
        )
        begin += frame.seconds
    rules.append(
        "@media (prefers-reduced-motion:reduce){.f{animation:none!important}"
        f"#f{len(shown) - 1}{{visibility:visible}}}}"
    )
    return "".join(rules)


def picture(shown: list[Frame], columns: int, rows: int, title: str) -> str:
    """Return the recording as an SVG document. A row that several frames show is written once."""
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    known: dict[str, str] = {}
    groups = []
    for number, frame in enumerate(shown):
        uses = []
        for row, line in enumerate(frame.lines):
            if line:
                name = known.setdefault(line, f"r{len(known)}")
                uses.append(f'<use href="#{name}" y="{MARGIN + row * HEIGHT + FONT}"/>')
        groups.append(f'<g class="f" id="f{number}">{"".join(uses)}</g>')
    rows_once = "".join(f'<text id="{name}">{line}</text>' for line, name in known.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="{FONT}" '
        f'xml:space="preserve"><title>{html.escape(title)}</title><style>{style(shown)}</style>'
        f'<defs>{rows_once}</defs><rect width="100%" height="100%" rx="8" fill="#011627"/>'
        f"{''.join(groups)}</svg>\n"
    )


def main() -> int:
    """Record the command. Returns 0 when the picture is written."""
    parser = argparse.ArgumentParser(description="Record a command as an animated SVG.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--columns", type=int, default=92)
    parser.add_argument("--rows", type=int, default=26)
    parser.add_argument("--title", default="A terminal")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    shown = frames(options.command, options.columns, options.rows)
    text = picture(shown, options.columns, options.rows, options.title)
    options.file.write_text(text, encoding="utf-8")
    print(f"written: {options.file} ({len(shown)} frames, {len(text) // 1024} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
