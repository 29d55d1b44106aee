"""Folder = responsibility, and the import path repeats it (DESIGN sections 4 and 9)."""

from __future__ import annotations

import pytest

from tests.tidy.walk import ROOTS, TOP, files, modules, short

ALLOWED_AT_TOP = {
    "schemas", "streams", "agents", "deploy", "tests", ".ci",
    "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "docker-compose.yml", "pyproject.toml", ".gitignore",
}  # fmt: skip
"""A new name at the top is a new responsibility: add it here with a thought."""
ROOMS = {
    "schemas": {"schemas", "sources", "sdk"},
    "streams": {"streams"},
    "agents": {"agents", "store", "notifiers", "embedded", "cli", "demo", "ingest", "console"},
}

BESIDE = {"streams": {"native"}, "schemas": {"json", "asyncapi.yaml"}}
"""What else a root may hold: the crate of the native core; the documents made from the models."""


@pytest.mark.parametrize("root", ROOTS)
def test_no_init_file_hides_the_other_two_roots(root: str) -> None:
    assert not (TOP / root / "stepwatch" / "__init__.py").exists(), (
        f"{root}/stepwatch/__init__.py would hide the stepwatch packages of the other two folders: delete it"
    )
    assert not (TOP / root / "__init__.py").exists()


def test_the_top_of_the_checkout_holds_only_known_names() -> None:
    found = {path.relative_to(TOP).parts[0] for path in files()}
    assert sorted(found - ALLOWED_AT_TOP) == []


@pytest.mark.parametrize("root", ROOTS)
def test_each_root_holds_only_its_rooms(root: str) -> None:
    inside = [path.relative_to(TOP / root).parts for path in files() if path.relative_to(TOP).parts[0] == root]
    assert {parts[0] for parts in inside} - {"stepwatch", "README.md"} <= BESIDE.get(root, set())
    assert {parts[1] for parts in inside if parts[0] == "stepwatch"} <= ROOMS[root]


def test_every_package_of_a_room_has_its_init_file() -> None:
    packages = {path.parent for path in modules(*ROOTS)}
    missing = [short(package) for package in packages if not (package / "__init__.py").exists()]
    assert sorted(missing) == []


@pytest.mark.parametrize("folder", [*ROOTS, "deploy", "tests"])
def test_every_folder_has_a_readme_for_the_person_who_comes_for_it(folder: str) -> None:
    assert (TOP / folder / "README.md").is_file()
