"""The image: pinned, without root, and its install steps run here in a clean virtual environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Stage, copies, parse_dockerfile

TOP = Path(__file__).resolve().parents[2]
VENV_IN_IMAGE = "/opt/stepwatch"
STAGES = parse_dockerfile((TOP / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
BUILD, FINAL = STAGES
INDEX_AWAY = re.compile(
    r"No matching distribution|Could not find a version|ConnectionError|NewConnectionError|Temporary failure"
)


@pytest.mark.parametrize("stage", STAGES, ids=["build", "final"])
def test_each_stage_starts_from_a_pinned_python_that_the_package_allows(stage: Stage) -> None:
    version = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-\w+", stage.image)
    assert version
    assert (int(version[1]), int(version[2])) >= (3, 11)
    assert stage.image == STAGES[0].image, "a virtual environment runs on the Python that made it"


def test_what_the_build_copies_is_in_the_checkout() -> None:
    missing = [source for sources, _ in copies(BUILD) for source in sources if not (TOP / source).exists()]
    assert missing == []


def test_the_image_does_not_run_as_root_and_takes_the_environment_of_the_build() -> None:
    assert FINAL.all("USER") not in ([], ["root"])
    assert f"--from=build {VENV_IN_IMAGE} {VENV_IN_IMAGE}" in FINAL.all("COPY")
    assert f"PATH={VENV_IN_IMAGE}/bin:$PATH" in FINAL.all("ENV")[0]


@pytest.mark.index
@pytest.mark.timeout(900)
def test_the_install_steps_run_in_a_clean_virtual_environment_and_every_role_starts(tmp_path: Path) -> None:
    source, venv = tmp_path / "src", tmp_path / "venv"
    for names, target in copies(BUILD):
        _copy(names, source / target)
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for step in BUILD.all("RUN"):
        _run(step.replace(VENV_IN_IMAGE, str(venv)), source, environment)
    for role in ["correlate", "store", "notify", "ingest", "console", "topics create"]:
        _run(f"{venv}/bin/stepwatch {role} --help", tmp_path, environment)
    absent = f"{venv}/bin/python -c 'import importlib.util as u; assert not u.find_spec(\"chdb\")'"
    _run(absent, tmp_path, environment)


def _copy(names: list[str], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TOP / name, target)


def _run(step: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(step, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "pip install" in step and INDEX_AWAY.search(done.stderr):
        pytest.skip(f"the package index cannot be reached, so nothing can be installed: {done.stderr[-300:]}")
    assert done.returncode == 0, f"{step}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
