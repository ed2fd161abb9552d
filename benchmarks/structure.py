"""The structure of a checkout in figures, as a table in Markdown.

    python benchmarks/structure.py [FOLDER]

FOLDER is a checkout, this one by default. It needs the standard library alone and imports nothing of the checkout, so
it reads older ones as well.

- A *room* is a package or a file directly in ``src/medanomaly`` (``__init__.py`` is the room ``medanomaly``), all
  plugins together, and ``tools`` and ``benchmarks`` each as a whole. Tests are no room. So version 0.1.0 has 18.
- An *arrow* goes from a room to another whose code it imports, anywhere in its files, inside functions too.
- A *circle* is a set of rooms, or of files, of which each reaches each other along imports.
- A *repeated line* is a line of code that stands in a passage of six or more equal lines found at least twice. Blank
  lines, comments, docstrings, imports and indentation do not count.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOTS = ("src", "plugins")
PACKAGES = ("tools", "benchmarks")
TEMPLATES = (".j2", ".html", ".css", ".js")
PASSAGE = 6
LONG = 300

Pair = tuple[str, str]


def modules(home: Path) -> dict[str, Path]:
    """Every module's dotted name and file."""
    found = {}
    for top in (*ROOTS, *PACKAGES):
        base = home / top if top in ROOTS else home
        for file in sorted((home / top).rglob("*.py")):
            name = ".".join(file.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


def room(module: str) -> str:
    """The room of a module, by its dotted name."""
    first, *rest = module.split(".")
    if first == "medanomaly":
        return rest[0] if rest else first
    return "plugins" if first.startswith("medanomaly_") else first


def imported(module: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the checkout that a module imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        yield from (name for name in names if name in known)


def arrows(known: dict[str, Path]) -> set[Pair]:
    """From file to file, by dotted names."""
    return {(module, target) for module, file in known.items() for target in imported(module, file, known)}


def between_rooms(imports: set[Pair]) -> dict[Pair, list[Pair]]:
    """From room to room, with the imports that make the arrow."""
    found = defaultdict(list)
    for module, target in sorted(imports):
        if room(module) != room(target):
            found[room(module), room(target)].append((module, target))
    return dict(found)


def circles(found: Iterable[Pair]) -> list[list[str]]:
    """Sets of two or more that reach one another."""
    after = defaultdict(set)
    for source, target in found:
        after[source].add(target)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = after[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reach = {name: reached(name) for name in list(after)}
    sets = {
        frozenset(o for o in reach if o in reach[name] and name in reach[o]) for name in reach if name in reach[name]
    }
    return sorted(sorted(members) for members in sets if len(members) > 1)


def sizes(home: Path) -> dict[str, int]:
    """Lines of ``.py`` and templates of each room in ``src``."""
    found: dict[str, int] = defaultdict(int)
    top = home / "src" / "medanomaly"
    for file in top.rglob("*"):
        if file.suffix in (".py", *TEMPLATES) and file.is_file():
            first = file.relative_to(top).parts[0].removesuffix(".py")
            found["medanomaly" if first == "__init__" else first] += _lines(file)
    return dict(found)


def code_lines(file: Path) -> list[str]:
    """A file's lines of code, stripped; without comments, docstrings, imports and blank lines."""
    text = file.read_text(encoding="utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Expr | ast.Import | ast.ImportFrom):
            continue
        text_alone = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if text_alone or not isinstance(node, ast.Expr):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return [line.strip() for row, line in enumerate(lines, start=1) if row not in left_out and line.strip()]


def repeated(files: list[Path]) -> tuple[int, int]:
    """Repeated lines and all lines of code."""
    every = [code_lines(file) for file in files]
    places = defaultdict(list)
    for number, lines in enumerate(every):
        for row in range(len(lines) - PASSAGE + 1):
            places[tuple(lines[row : row + PASSAGE])].append((number, row))
    hit = {(n, row + i) for same in places.values() if len(same) > 1 for n, row in same for i in range(PASSAGE)}
    return len(hit), sum(map(len, every))


def private_names(home: Path) -> str:
    """Private names of anomalib and lightning outside the seam."""
    try:
        from private_names import private_names as listed  # beside this file
    except ImportError:
        return "not counted"
    return str(len(listed(home)))


def _lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def main() -> int:
    """Print the table; returns the exit status."""
    home = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])
    if not (home / "src" / "medanomaly").is_dir():
        print(f"{home}: is no checkout of medanomaly, as it has no src/medanomaly.", file=sys.stderr)
        return 2
    known = modules(home)
    imports = arrows(known)
    found = between_rooms(imports)
    rooms = sorted({room(name) for name in known})
    among_rooms, among_files, lines = circles(found), circles(imports), sizes(home)
    largest = max(lines, key=lambda name: lines[name])
    twice, code = repeated(list(known.values()))
    long = {file.relative_to(home).as_posix(): _lines(file) for file in known.values() if _lines(file) > LONG}
    rows = {
        "rooms": f"{len(rooms)}",
        "arrows": f"{len(found)} of {len(rooms) * (len(rooms) - 1) // 2} pairs",
        "circles among rooms": f"{len(among_rooms)}",
        "circles among files": f"{len(among_files)}",
        "largest room in src": f"{largest}: {lines[largest]} of {sum(lines.values())} lines, "
        f"{100 * lines[largest] / sum(lines.values()):.0f} %",
        "private names of anomalib outside the seam": private_names(home),
        f"repeated lines (passages of {PASSAGE} and more)": f"{twice} of {code}, {100 * twice / code:.1f} %",
        f"files over {LONG} lines": f"{len(long)}",
    }
    print("| figure | value |\n|---|---|")
    print("\n".join(f"| {name} | {value} |" for name, value in rows.items()))
    print("\n| room in src | lines | imports |\n|---|---|---|")
    for name in sorted(lines, key=lambda name: -lines[name]):
        print(f"| {name} | {lines[name]} | {', '.join(sorted(b for a, b in found if a == name))} |")
    for members in among_files:
        print(f"\nCircle of files: {', '.join(members)}")
    for members in among_rooms:
        print(f"\nCircle of rooms: {', '.join(members)}:")
        for (source, target), why in sorted(found.items()):
            if source in members and target in members:
                print(f"- {source} -> {target}: {len(why)} imports, such as {' -> '.join(why[0])}")
    if long:
        print(f"\nFiles over {LONG} lines: " + ", ".join(f"{name} ({size})" for name, size in sorted(long.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
