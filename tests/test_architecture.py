"""The rules of the house, each a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import sparring
from sparring import catalogue

HOME = Path(sparring.__file__).parent
METHODS = sorted(catalogue.methods())
LAYERS = {"core", "tasks", "methods", "data", "networks", "losses", "metrics", "judging", "studio"}
MAY_IMPORT = {
    "core": {"core"},
    "tasks": {"core", "metrics", "tasks"},
    "data": {"core", "data"},
    "networks": {"core", "networks"},
    "losses": {"core", "losses"},
    "metrics": {"core", "metrics"},
    "methods": {"core", "tasks", "data", "networks", "losses", "metrics"},
    "judging": {"core", "tasks", "data", "networks", "metrics", "judging"},
}


def imports(path: Path) -> set[str]:
    """First folder of every import from sparring."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sparring":
            parts = (node.module or "").split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("sparring.")}
    return found


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_layers_import_only_what_they_may(layer: str) -> None:
    files = sorted((HOME / layer).rglob("*.py"))
    assert files
    wrong = {str(path): imports(path) - MAY_IMPORT[layer] for path in files if imports(path) - MAY_IMPORT[layer]}
    assert not wrong


def tree_of(method: str) -> ast.Module:
    return ast.parse((HOME / "methods" / f"{method}.py").read_text())


@pytest.mark.parametrize("method", METHODS)
def test_method_defines_exactly_three_public_names(method: str) -> None:
    module = catalogue.find(method).load()
    own = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    }
    helpers = {node.name for node in tree_of(method).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert {"Config", "Model", "Game"} <= own
    assert {name for name in helpers if not name.startswith("_")} == {"Config", "Model", "Game"}


@pytest.mark.parametrize("method", METHODS)
def test_method_leaves_the_machinery_to_core(method: str) -> None:
    text = (HOME / "methods" / f"{method}.py").read_text()
    for word in (".backward(", "optimizer.step", "zero_grad", ".cuda(", "dist.", "torch.save", "requires_grad_(True"):
        assert word not in text, word
    calls = [node.func for node in ast.walk(tree_of(method)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in {"open", "getattr", "print"}]


@pytest.mark.parametrize("layer", ["core", "tasks", "methods", "networks", "losses", "metrics", "data", "judging"])
def test_no_registries_no_flags_no_mutable_globals(layer: str) -> None:
    for path in sorted((HOME / layer).rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Global):
                pytest.fail(f"{path}: global {node.names}")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
                assert not isinstance(node.args[1], (ast.JoinedStr, ast.BinOp)), f"{path}: getattr on a built name"
            if isinstance(node, ast.FunctionDef) and layer != "core":
                assert node.args.kwarg is None, f"{path}: **{node.args.kwarg} in {node.name}"
            if isinstance(node, ast.arg):
                assert node.arg not in {"mode", "phase"}, f"{path}: a {node.arg}= flag"


@pytest.mark.parametrize("method", METHODS)
def test_model_inherits_from_a_task_and_nothing_deeper(method: str) -> None:
    module = catalogue.find(method).load()
    names = [base.__module__ for base in module.Model.__mro__[1:3]]
    assert names[0].startswith("sparring.tasks.")
    assert names[1] == "sparring.core.model"


@pytest.mark.parametrize("method", METHODS)
def test_method_cites_its_paper(method: str) -> None:
    found = catalogue.find(method)
    assert re.fullmatch(r"\d{4}\.\d{4,5}", found.arxiv)
    assert re.search(r'"[^"]+", (19|20)\d\d\.', found.paper)
    assert found.idea.endswith((".", "!"))
    assert found.task
    assert "Differs from the paper in" in (ast.get_docstring(tree_of(method)) or "")


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.py")), ids=lambda path: str(path.relative_to(HOME)))
def test_every_config_field_explains_itself(path: Path) -> None:
    """A field without an attribute docstring is a flag without help; `data` and optimizers explain themselves."""
    for node in ast.parse(path.read_text()).body:
        if not (
            isinstance(node, ast.ClassDef)
            and node.name
            in {"Config", "Images", "Points", "Stacked", "Pairs", "Domains", "Photos", "Adam", "RmsProp", "Sgd"}
        ):
            continue
        for field, after in zip(node.body, [*node.body[1:], None]):
            if not isinstance(field, ast.AnnAssign) or "ClassVar" in ast.unparse(field.annotation):
                continue
            assert isinstance(field.target, ast.Name)
            nested = field.target.id == "data" or "core." in ast.unparse(field.annotation)
            explained = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert nested or explained, f"{path}: {node.name}.{field.target.id}"
