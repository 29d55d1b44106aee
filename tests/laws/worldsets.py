"""The product's policy sets of a world, by the rule of `replay`: files with one `effective_from` are one set."""

import tempfile
from pathlib import Path

from stepwatch.streams.sets import PolicySets, load_files
from tests.judge.worlds import World


def sets_of(some_world: World) -> PolicySets:
    """Load a world's files as `replay` does."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in some_world.policies:
            path = Path(folder) / name
            path.write_text(text)
            paths.append(path)
        return load_files(paths)
