"""A process that runs many command lines of `tmapi`, one after the other, under one locale.

    python run_many.py FOLDER < LINES

Standard input has one JSON object a line: `argv`, and `width` for a terminal of that many columns
(else the output goes to a file). Writes one JSON object a line to `FOLDER/results`: `code` and
`output`, both streams together, with the bytes as Latin-1.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import sys
import termios
import threading
from pathlib import Path

from tmapi_async.cli import main

ENCODING = sys.stdout.encoding


def run(argv: list[str]) -> int:
    """Run a command line in this process and return its exit code."""
    # As the system hands them over, and as the interpreter opens the streams.
    sys.argv = ["tmapi", *(os.fsdecode(argument.encode()) for argument in argv)]
    sys.stdout = open(1, "w", encoding=ENCODING, closefd=False)  # noqa: SIM115 - stays open
    sys.stderr = open(2, "w", encoding=ENCODING, closefd=False)  # noqa: SIM115 - stays open
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def on_terminal(argv: list[str], width: int) -> tuple[int, bytes]:
    """Run a command line on a terminal; return its exit code and everything that was drawn."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    os.environ["COLUMNS"] = str(width)
    drawn = bytearray()

    def read() -> None:
        try:
            while piece := os.read(master, 65536):
                drawn.extend(piece)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    os.close(terminal)
    code = run(argv)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    reader.join()
    os.close(master)
    return code, bytes(drawn)


def to_file(argv: list[str], path: Path) -> tuple[int, bytes]:
    """Run a command line with both streams in a file; return its exit code and the bytes."""
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        code = run(argv)
    return code, path.read_bytes()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    lines = [json.loads(line) for line in sys.stdin]
    errors = os.dup(2)
    with (folder / "results").open("w", encoding="ascii") as results:
        for line in lines:
            width = line.get("width")
            if width:
                code, output = on_terminal(line["argv"], width)
            else:
                code, output = to_file(line["argv"], folder / "output")
            json.dump({"code": code, "output": output.decode("latin-1")}, results)
            results.write("\n")
    os.dup2(errors, 2)
