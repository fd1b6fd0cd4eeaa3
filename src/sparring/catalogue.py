"""Which methods there are, read off the files of `methods/` without importing them (and so without importing torch)."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from sparring.core import Config, Game, Model

FOLDER = Path(__file__).parent / "methods"


class Module(Protocol):
    """The three public names of a method's file."""

    Config: type[Config]
    Model: type[Model]
    Game: type[Game[Any, Any]]


@dataclass(frozen=True)
class Method:
    name: str
    paper: str
    arxiv: str
    idea: str
    task: str

    def load(self) -> Module:
        return cast(Module, importlib.import_module(f"sparring.methods.{self.name}"))


@functools.cache
def methods() -> dict[str, Method]:
    """Every method by name."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    return {path.stem: _read(path) for path in files}


def find(name: str) -> Method:
    """The method of this name. Raises UserError with the nearest names if there is none."""
    known = methods()
    if name not in known:
        from sparring.core.errors import UserError

        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"no method {name!r}; {hint}`sparring list` shows all: {', '.join(known)}")
    return known[name]


def _read(path: Path) -> Method:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, _, rest = (ast.get_docstring(tree) or "").partition("\n")
    paper, _, arxiv = title.partition(" arXiv:")
    idea = re.match(r"\s*(.+?[.!])(\s|$)", rest, re.DOTALL)
    return Method(path.stem, paper, arxiv.strip(), " ".join(idea[1].split()) if idea else "", _task(tree))


def _task(tree: ast.Module) -> str:
    """`sample` of `class Model(tasks.Sample)`."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Model" and isinstance(node.bases[0], ast.Attribute):
            return node.bases[0].attr.lower()
    return ""
