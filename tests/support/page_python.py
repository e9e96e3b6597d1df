"""Program that runs the Python blocks of a page, one after the other, as one interactive session.

It reads one JSON object a line from the file descriptor of its first argument: `file` with the
code, `environment` and `folder`. It answers each with a line to that of the second: `true`, or
`false` after an exception. Each block has a file, as a script has: processes that it starts import
the block again by that file.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any


def run(request: dict[str, Any], module: ModuleType) -> bool:
    """Run a block in a module. Returns whether it ended without an exception."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    path = Path(request["file"])
    module.__file__ = str(path)
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        exec(code, vars(module))  # noqa: S102 - our own docs
    except SystemExit as end:
        return end.code in (None, 0)
    except BaseException:  # noqa: BLE001 - whatever the block raises is its result
        traceback.print_exc()
        return False
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return True


def main() -> None:
    """Run blocks until there are no more."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    sys.path[0] = ""
    with os.fdopen(int(sys.argv[1])) as requests, os.fdopen(int(sys.argv[2]), "w") as replies:
        sys.argv = [""]
        for line in requests:
            replies.write(f"{json.dumps(run(json.loads(line), module))}\n")
            replies.flush()


if __name__ == "__main__":
    main()
