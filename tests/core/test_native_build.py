"""How the native core comes into a wheel, and what is said where it cannot: the build hook without cargo's work."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("hatchling", reason="the build hook is hatchling's")

HOOK = Path(__file__).parents[2] / "streams" / "native" / "build_hook.py"


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook of a checkout with one source, under a cargo that writes `built` into its library."""
    spec = importlib.util.spec_from_file_location("build_hook", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    crate, product = tmp_path / "streams" / "native", tmp_path / "streams" / "stepwatch" / "streams" / "_native.abi3.so"
    for folder in (crate / "src", crate / "target" / "release", product.parent):
        folder.mkdir(parents=True)
    (crate / "src" / "lib.rs").write_text("")
    (crate / "Cargo.toml").write_text("")
    monkeypatch.setattr(module, "CRATE", crate)
    monkeypatch.setattr(module, "PRODUCT", product)
    monkeypatch.delenv(module.SWITCH, raising=False)
    use_cargo(module, monkeypatch, status=0)
    return module


def use_cargo(hook: ModuleType, monkeypatch: pytest.MonkeyPatch, status: int | None) -> None:
    """A cargo that ends with a status; None: there is none."""

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        assert "--locked" in command
        assert options["env"]["PYO3_NO_PYTHON"] == "1"
        for name in ("lib_native.so", "lib_native.dylib"):
            (hook.CRATE / "target" / "release" / name).write_text("built")
        return subprocess.CompletedProcess(command, status or 0)

    monkeypatch.setattr(hook.subprocess, "run", run)
    monkeypatch.setattr(hook.shutil, "which", lambda name: None if status is None else f"/bin/{name}")


def build_data(hook: ModuleType, target: str = "wheel") -> dict[str, Any]:
    """What hatchling is told."""
    said: dict[str, Any] = {"artifacts": [], "pure_python": True}
    its = hook.CustomBuildHook(str(hook.CRATE.parents[1]), {}, None, None, "", target)
    its.initialize("standard", said)
    return said


def test_a_wheel_with_the_core_is_of_this_platform_and_of_any_python_from_3_11_on(hook: ModuleType) -> None:
    said = build_data(hook)
    assert said["pure_python"] is False
    assert said["artifacts"] == ["/streams/stepwatch/streams/_native.abi3.so"]
    assert said["tag"].startswith("cp311-abi3-")
    assert said["tag"].split("-")[2].isidentifier()
    assert hook.PRODUCT.read_text() == "built"


def test_a_source_archive_is_left_alone(hook: ModuleType) -> None:
    assert build_data(hook, "sdist") == {"artifacts": [], "pure_python": True}
    assert not hook.PRODUCT.exists()


def test_without_cargo_the_wheel_is_pure_and_one_line_says_why(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_cargo(hook, monkeypatch, status=None)
    assert build_data(hook) == {"artifacts": [], "pure_python": True}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cargo is not on PATH" in said


def test_a_cargo_that_fails_leaves_a_pure_wheel_and_nothing_stale(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.PRODUCT.write_text("stale")
    os.utime(hook.PRODUCT, (0, 0))
    use_cargo(hook, monkeypatch, status=101)
    assert build_data(hook)["pure_python"] is True
    assert not hook.PRODUCT.exists()
    assert "cargo ended with status 101" in capsys.readouterr().err


def test_a_core_newer_than_its_sources_is_not_built_again(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cargo(hook, monkeypatch, status=None)
    hook.PRODUCT.write_text("there")
    later = hook.PRODUCT.stat().st_mtime + 10
    os.utime(hook.PRODUCT, (later, later))
    assert build_data(hook)["pure_python"] is False
    assert hook.PRODUCT.read_text() == "there"
    (hook.CRATE / "src" / "deep").mkdir()
    (hook.CRATE / "src" / "deep" / "new.rs").write_text("")
    os.utime(hook.CRATE / "src" / "deep" / "new.rs", (later + 1, later + 1))
    assert build_data(hook)["pure_python"] is True


def test_the_core_can_be_switched_off_or_required(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.PRODUCT.write_text("there")
    monkeypatch.setenv(hook.SWITCH, "off")
    assert build_data(hook)["pure_python"] is True
    assert not hook.PRODUCT.exists()
    assert f"{hook.SWITCH}=off" in capsys.readouterr().err
    monkeypatch.setenv(hook.SWITCH, "require")
    assert build_data(hook)["pure_python"] is False
    hook.PRODUCT.unlink()
    use_cargo(hook, monkeypatch, status=None)
    with pytest.raises(hook.Unbuilt, match="cargo is not on PATH"):
        build_data(hook)


@pytest.mark.parametrize(
    ("platform", "tag"),
    [
        ("linux-x86_64", "linux_x86_64"),
        ("macosx-11.0-arm64", "macosx_11_0_arm64"),
        ("macosx-10.9-universal2", "macosx_10_9_arm64"),
    ],
)
def test_the_tag_names_the_processor_that_cargo_builds_for(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, platform: str, tag: str
) -> None:
    monkeypatch.setattr(hook.sysconfig, "get_platform", lambda: platform)
    monkeypatch.setattr(hook.platform, "machine", lambda: "arm64")
    assert hook.platform_tag() == tag
