"""Builds the native core into the wheel; where that cannot be, the wheel is pure Python and says so.

`python streams/native/build_hook.py` builds it in place, for who works on it. `STEPWATCH_BUILD_NATIVE=off` builds a
pure wheel on purpose, `STEPWATCH_BUILD_NATIVE=require` fails where the core cannot be built.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CRATE = Path(__file__).resolve().parent
PRODUCT = CRATE.parent / "stepwatch" / "streams" / "_native.abi3.so"
SWITCH = "STEPWATCH_BUILD_NATIVE"
PYTHON_TAG = "cp311-abi3"
"""The stable interface of CPython 3.11: one build serves every later one."""


class Unbuilt(Exception):
    """The core cannot be built here; the message says why."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it packs a wheel, `standard` or `editable`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and tell hatchling what came of it."""
        if self.target_name != "wheel" or not build_where_possible():
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"{PYTHON_TAG}-{platform_tag()}"
        # It is not under version control, so it must be named to be packed.
        build_data["artifacts"].append(f"/{PRODUCT.relative_to(self.root).as_posix()}")


def build_where_possible() -> bool:
    """Bring the core up to date; False: there is none, and the reason was said.

    Raises:
        Unbuilt: it cannot be built, and `STEPWATCH_BUILD_NATIVE=require` says that it must.
    """
    wish = os.environ.get(SWITCH, "")
    try:
        if wish == "off":
            raise Unbuilt(f"{SWITCH}=off")
        if not is_up_to_date():
            build()
        return True
    except Unbuilt as why:
        # One of older sources would do other things than the Python beside it.
        PRODUCT.unlink(missing_ok=True)
        if wish == "require":
            raise
        print(f"stepwatch: without the native core, everything works and takes more CPU: {why}", file=sys.stderr)
        return False


def is_up_to_date() -> bool:
    """Whether the core is newer than everything that it is built from."""
    sources = [*CRATE.glob("*.*"), *CRATE.glob("src/**/*.rs")]
    return PRODUCT.is_file() and PRODUCT.stat().st_mtime_ns > max(path.stat().st_mtime_ns for path in sources)


def build() -> None:
    """Build the core and put it where it is imported from.

    Raises:
        Unbuilt: cargo is missing or fails; its own words went to standard error.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise Unbuilt("cargo is not on PATH (a Rust toolchain, 1.85 or later, builds it)")
    # The stable interface needs no interpreter at hand, and an extension module does not link to one.
    environment = os.environ | {"PYO3_NO_PYTHON": "1", "PYO3_BUILD_EXTENSION_MODULE": "1"}
    command = [cargo, "build", "--release", "--locked", "--target-dir", "target"]
    ended = subprocess.run(command, cwd=CRATE, env=environment, stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        raise Unbuilt(f"cargo ended with status {ended.returncode}; what it said stands above")
    built = CRATE / "target" / "release" / ("lib_native.dylib" if sys.platform == "darwin" else "lib_native.so")
    # Under another name first: a process that has the old one open keeps it as it was.
    new = PRODUCT.with_name(f"{PRODUCT.name}.{os.getpid()}")
    try:
        shutil.copyfile(built, new)
        new.replace(PRODUCT)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise Unbuilt(f"{error.strerror}: {error.filename}") from None


def platform_tag() -> str:
    """This machine, as the names of wheels say it."""
    name = sysconfig.get_platform()
    if name.startswith("macosx"):
        # A universal interpreter, but cargo builds for the processor at hand.
        name = name.replace("universal2", platform.machine())
    return name.replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    sys.exit(0 if build_where_possible() else 1)
