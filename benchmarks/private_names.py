"""List where a checkout uses private or undocumented names of anomalib and lightning outside the one seam to them.

    python benchmarks/private_names.py [FOLDER]

Prints ``file:line: name`` for each, then their number. It needs the standard library alone and imports nothing of the
checkout, so that it reads an older one as well. ``tests/test_anomalib_contract.py`` holds the vocabulary to the seam's
own list.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

#: The one place where these names may stand.
SEAM = "medanomaly/anomalib_compat"

#: Attributes and methods: read, called or overridden. Names that begin with an underscore and that no class of ours
#: uses for something else, and four without an underscore that anomalib does not document.
ATTRIBUTES = frozenset(
    {
        "_add_default_arguments_to_parser",
        "_add_trainer_arguments_to_parser",
        "_cache",
        "_checkpoint_config_keys",
        "_checkpoint_connector",
        "_create_test_split",
        "_create_val_split",
        "_ensure_checkpoint_io_plugin",
        "_image_threshold",
        "_make_latest_windows",
        "_pixel_threshold",
        "_prepare_subcommand_kwargs",
        "_run_subcommand",
        "_samples",
        "_setup",
        "_setup_runners",
        "_setup_trainer",
        "_setup_workspace",
        "_strategy_checkpoint_io",
        "_trainer",
        "ALLOWED_MODULES",
        "epoch_progress",
        "external_collate_fn",
    }
)

#: Words of a checkpoint's layout.
STRINGS = frozenset({"anomalib_post_processor_config", "post_processor.", "epoch_progress"})

#: Modules that no documentation names.
MODULES = (
    "anomalib.cli.cli",
    "anomalib.engine.plugins",
    "anomalib.pipelines",
    "anomalib.pre_processing.utils",
    "anomalib.utils",
    "lightning.pytorch.overrides",
)

#: Functions that are replaced in anomalib's modules.
REPLACED = frozenset({"get_datamodule"})

_THEIRS = ("anomalib", "lightning")


def private_names(root: Path) -> list[str]:
    """Places in ``src`` and ``plugins`` of a checkout, as ``file:line: name``, outside the seam."""
    found = []
    for folder in ("src", "plugins"):
        for path in sorted((root / folder).rglob("*.py")):
            place = path.relative_to(root).as_posix()
            if f"{SEAM}/" in place or place.endswith(f"{SEAM}.py"):
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{place}:{line}: {name}" for line, name in sorted(set(uses(tree)))]
    return found


def uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of each use in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and part.name in ATTRIBUTES:
                    yield part.lineno, part.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in ATTRIBUTES | STRINGS:
            yield node.lineno, repr(node.value)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_private(alias.name):
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                if _is_private(f"{node.module}.{alias.name}"):
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, (ast.Assign, ast.Call)):
            yield from _replacements(node)


def _is_private(module: str) -> bool:
    """Whether a dotted name of theirs is private, or lies in a module that no documentation names."""
    parts = module.split(".")
    if parts[0] not in _THEIRS:
        return False
    listed = any(module == name or module.startswith(f"{name}.") for name in MODULES)
    return listed or any(part.startswith("_") and not part.startswith("__") for part in parts)


def _replacements(node: ast.Assign | ast.Call) -> Iterator[tuple[int, str]]:
    """Functions of theirs that are replaced: by an assignment to a module's attribute, or by ``setattr``."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr in REPLACED:
                yield node.lineno, target.attr
    elif isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) > 1:
        name = node.args[1]
        if isinstance(name, ast.Constant) and name.value in REPLACED:
            yield node.lineno, str(name.value)


def main() -> int:
    """Print the places and their number."""
    found = private_names(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"private names of anomalib and lightning outside the seam: {len(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
