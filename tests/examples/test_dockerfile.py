"""The image of the command, as far as it can be checked without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.dockerfile import is_sent, read_dockerfile, stages
from tests.support.paths import ROOT
from tests.support.recipes import run_bare

DOCKERFILE = ROOT / "Dockerfile"
if not DOCKERFILE.exists():
    pytest.skip("the Dockerfile is not in this distribution", allow_module_level=True)

INSTRUCTIONS = read_dockerfile(DOCKERFILE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SECRET = re.compile(r"token|secret|password|apikey", re.IGNORECASE)


def settings(*, stage=-1):
    """Return the instructions of a stage by name; of several of one name the last."""
    return dict(stages(INSTRUCTIONS)[stage])


def sources():
    """Return what is copied from the folder of the project."""
    texts = [
        each.text for each in INSTRUCTIONS if each.name == "COPY" and "--from" not in each.text
    ]
    return [source for text in texts for source in text.split()[:-1]]


def test_everything_that_is_copied_is_there_and_gets_into_the_build():
    """The file of ignored names lets in what the wheel is made of, and no more."""
    ignored = ROOT / ".dockerignore"
    assert [name for name in sources() if not (ROOT / name).exists()] == []
    assert [name for name in sources() if not is_sent(name, ignored)] == []
    sent = {path.name for path in ROOT.iterdir() if is_sent(path.name, ignored)}
    assert sent == set(sources())
    for name in ("token.env", ".env", ".git", "shop.journal", "__pycache__"):
        assert not is_sent(name, ignored)


def test_the_wheel_can_be_built_from_what_is_copied():
    """Package, readme and licence, as the project's description names them."""
    project = PROJECT["project"]
    needed = {"pyproject.toml", project["readme"], *project["license-files"], "tmapi_async"}
    assert needed <= set(sources())
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["tmapi_async"]


def test_the_image_has_a_python_that_is_tested_and_extras_that_exist():
    """Both stages are of one image: an environment works only beside the Python that made it."""
    images = [each.text.split()[0] for each in INSTRUCTIONS if each.name == "FROM"]
    [image] = set(images)
    version = re.fullmatch(r"python:(3\.\d+)-slim", image)
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]
    [extras] = re.findall(r"\[([a-z0-9,]+)\]", "\n".join(each.text for each in INSTRUCTIONS))
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_the_container_is_no_root_and_keeps_everything_on_its_volume():
    """A user without a name, so that no account is needed; the volume is the working folder."""
    final = settings()
    user = re.fullmatch(r"(\d+):(\d+)", final["USER"])
    assert user
    assert int(user[1]) > 0
    assert final["VOLUME"] == final["WORKDIR"] == "/data"
    assert f"chown {final['USER']} /data" in final["RUN"]
    names = [each.name for each in stages(INSTRUCTIONS)[-1]]
    assert names.index("RUN") < names.index("VOLUME")  # what is changed after VOLUME is lost
    assert names.index("RUN") < names.index("USER")
    assert {"TMAPI_CACHE_DIR=/data", "TMAPI_RUNTIME_DIR=/data"} <= set(final["ENV"].split())


def test_signals_reach_the_command():
    """The command itself is the first process: no shell stands between it and SIGTERM."""
    final = settings()
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(final["ENTRYPOINT"]) == ["tmapi"]
    assert json.loads(final["CMD"]) == ["--help"]


def test_no_layer_holds_a_token():
    """No variable, argument or file of the build is a secret, and nothing is fetched by ADD."""
    for each in INSTRUCTIONS:
        assert each.name not in ("ADD", "ARG")
        assert not SECRET.search(each.text)


def test_the_compose_file_takes_rights_away():
    """Read-only root, no capabilities, time to stop, no restarts that spend the budget anew."""
    yaml = pytest.importorskip("yaml", reason="the compose file is YAML")
    folder = ROOT / "examples" / "nightly_harvest"
    document = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))
    [service] = document["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["restart"] == "no"
    assert service["stop_grace_period"] == "3m"
    assert (folder / service["build"] / "Dockerfile").exists()
    assert (folder / f"{service['env_file']}.example").exists()
    volumes = dict(volume.split(":", 1) for volume in service["volumes"])
    assert volumes["data"] == "/data"
    assert set(document["volumes"]) == {"data"}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    os.environ.get("TMAPI_TEST_IMAGE") is None, reason="installs packages: `make dist` runs it"
)
def test_the_lines_of_the_build_make_the_command(tmp_path):
    """The RUN lines of the first stage run here, with the folders of the image elsewhere."""
    places = {"/build": tmp_path / "build", "/opt/tmapi": tmp_path / "opt"}
    places["/build"].mkdir()
    for name in sources():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, places["/build"] / name)
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for each in stages(INSTRUCTIONS)[0]:
        text = each.text
        for inside, outside in places.items():
            text = text.replace(inside, str(outside))
        if each.name == "ENV":
            variables |= dict(setting.split("=", 1) for setting in text.split())
            variables.pop("PIP_NO_CACHE_DIR", None)
        elif each.name == "RUN":
            command = ["/bin/sh", "-c", text]
            subprocess.run(  # noqa: S603 - our own lines
                command, cwd=places["/build"], env=variables, check=True
            )
    command = places["/opt/tmapi"] / "bin" / json.loads(settings()["ENTRYPOINT"])[0]
    assert "tmapi-async" in run_bare([command, "--version"], tmp_path).stdout
    done = run_bare([command, "items", "1031910", "--sandbox", "--max-pages", "1"], tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 20), done.stderr
    for package in ("pyarrow", "jinja2", "xlsxwriter", "uvloop"):
        imported = [places["/opt/tmapi"] / "bin/python", "-c", f"import {package}"]
        assert run_bare(imported, tmp_path).returncode == 0, package
