"""The blocks of code on README.md, in docs/ and in examples/ run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.doc_pages import NOTEBOOKS, PAGES, PageText, page_ids, read_page, same_output
from tests.support.gateways import free_port
from tests.support.page_runs import PageRun
from tests.support.paths import ROOT
from tests.support.s3_server import s3_server
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wheel_environment import WheelEnvironment

POSTGRES = re.compile(r"postgresql://[\w.:@]*/\w+")
PORT = re.compile(r"--port[ =](\d{4,5})\b")


def page_cases() -> list[Any]:
    """Return the pages with blocks to run, as parameters of a test."""
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if any(block.is_run for block in read_page(page).blocks)
    ]


def stand_ins(page: PageText, stack: ExitStack, request: pytest.FixtureRequest) -> dict[str, str]:
    """Start a server on this machine for each service that a page names.

    Returns:
        Text of the page -> text that stands for it.
    """
    text = "\n".join(block.code for block in page.blocks if block.is_run)
    replaced = {port: str(free_port()) for port in PORT.findall(text)}
    for url in set(POSTGRES.findall(text)):
        replaced[url] = request.getfixturevalue("postgres")
    if "s3://" in text:
        store = stack.enter_context(s3_server())
        replaced |= {f"{name}=...": f"{name}={value}" for name, value in store.environment.items()}
        # Not shown on a page, since it is the default there.
        replaced["export AWS_"] = (
            f"export AWS_ENDPOINT_URL={store.environment['AWS_ENDPOINT_URL']} AWS_"
        )
        replaced["s3://my-bucket"] = "s3://shop"
    return replaced


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.timeout(400)  # a page has some dozen commands
@pytest.mark.parametrize("page", page_cases())
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path,
    tmp_path: Path,
    wheel_environment: WheelEnvironment,
    request: pytest.FixtureRequest,
) -> None:
    """Each block ends well and prints what the page shows, in an environment of the wheel.

    A sandbox stands for the API.
    """
    text = read_page(page)
    (tmp_path / "home").mkdir()
    variables = wheel_environment.variables(tmp_path / "home")
    with ExitStack() as stack:
        replaced = stand_ins(text, stack, request)
        sandbox = stack.enter_context(SandboxThread(limit=8))
        variables |= {"TMAPI_BASE_URL": sandbox.url, "TMAPI_TOKEN": "sandbox"}
        if text.folder == "checkout":
            wheel_environment.unpack(tmp_path / "project").rename(tmp_path / "page")
        with PageRun(tmp_path, variables, replaced) as run:
            run.run(text.blocks)


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=page_ids(NOTEBOOKS))
def test_notebooks_show_what_they_print(
    path: Path, tmp_path: Path, wheel_environment: WheelEnvironment
) -> None:
    """The cells of a notebook run one after the other, and their outputs are those in the file."""
    script = ROOT / "scripts" / "run_notebook.py"
    done = subprocess.run(  # noqa: S603 - our own notebooks
        [wheel_environment.python, script, path],
        cwd=tmp_path,
        env=wheel_environment.variables(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.docs
@pytest.mark.slow
def test_the_environment_of_the_blocks_is_that_of_the_wheel(
    tmp_path: Path, wheel_environment: WheelEnvironment
) -> None:
    """The package is imported from the wheel, and no option of our own pytest is set."""
    code = "import tmapi_async; print(tmapi_async.__file__)"
    variables = wheel_environment.variables(tmp_path)
    done = subprocess.run(  # noqa: S603 - our own code
        [wheel_environment.python, "-c", code],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel_environment.folder))
    assert not [name for name in variables if name.startswith("PYTEST")]
    assert str(ROOT) not in variables["PATH"].split(os.pathsep)


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    """A block that is neither run, compared nor a file has a mark with a reason of some words."""
    text = read_page(page)
    unexplained = [
        block.place
        for block in text.blocks
        if not (block.is_run or block.is_output or block.is_file)
        and len(block.marks.get("not run", "").split()) < 3
    ]
    assert unexplained == []
    assert text.loose == []


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_what_is_shown_can_be_pasted(page: Path) -> None:
    """No command has a prompt before it, which a shell would take for a program."""
    prompts = [
        block.place
        for block in read_page(page).blocks
        if re.search(r"^(\$|>>>) ", block.code, re.MULTILINE)
    ]
    assert prompts == []


@pytest.mark.parametrize(
    ("shown", "printed", "rough", "same"),
    [
        ("a\n", "a\n", False, True),
        ("a\n", "a\nb\n", False, False),
        ("a\n...\n", "a\n", False, True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", False, True),
        ("a ... c\n", "a b c\n", False, True),
        ("a ... c\n", "a b\nc\n", False, False),
        ("a.b\n", "a-b\n", False, False),
        ("1 of 20 in 0.3 s\n", "4 of  20 in 1.25 s\n", True, True),
        ("1 of 20 in 0.3 s\n", "4 of 20 in 1.25 s, twice\n", True, False),
        ("1 | 20\n--|---\n", "1 | 20,000\n--|-------\n", True, True),
    ],
)
def test_outputs_are_compared(shown: str, printed: str, rough: bool, same: bool) -> None:
    """Exactly but for `...`, or without numbers and spaces."""
    assert same_output(shown, printed, rough=rough) is same


MARKED = """\
<!-- folder: checkout -->
<!-- not run: it needs an account -->
```bash
a
```
<!-- run: b -->
<!-- exits: 3 -->
    ```python
    if c:
        d
    ```
<!-- background -->
words, `<!-- exits: 4 -->`
```toml title="job.toml"
<!-- not run: no mark, but a part of the block -->
```
"""


def test_marks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark belongs to the block right after it; hidden commands are blocks of their own."""
    page = ROOT / "page.md"
    monkeypatch.setattr(type(page), "read_text", lambda *_, **__: MARKED)
    blocks, folder, loose = read_page(page)
    assert folder == "checkout"
    assert loose == ["page.md:14: background"]
    assert [(block.language, block.line, block.marks) for block in blocks] == [
        ("bash", 4, {"not run": "it needs an account"}),
        ("bash", 6, {}),
        ("python", 9, {"exits": "3"}),
        ("toml", 15, {}),
    ]
    assert [block.is_run for block in blocks] == [False, True, True, False]
    assert blocks[2].code == "if c:\n    d\n"
    assert blocks[3].is_file
