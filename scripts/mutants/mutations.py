"""The mutations: the changes made to a module, one at a time.

Strings are not changed (most are messages), nor annotations, nor the attributes that `__init__`
sets: almost every test would notice those, so they say nothing about the tests.
"""

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
OPPOSITES = {"max": "min", "min": "max", "any": "all", "all": "any"}
CONDITIONS = {"where", "and_", "or_"}  # of SQLAlchemy: each argument is a condition
COMPOUND_CONDITIONS = (
    ast.Compare,
    ast.BoolOp,
    ast.UnaryOp,
    ast.Constant,
)  # conditions with mutations of their own
CONTEXT_LENGTH, MAX_LENGTH = 40, 140  # characters of context, and in total


@dataclass(frozen=True)
class Mutant:
    """One change: `new` replaces the node in `parent` at `field`, and in a list at `index`."""

    module: str
    path: Path
    function: str
    line: int
    what: str
    at_import: bool
    tree: ast.Module
    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST

    @property
    def key(self) -> str:
        """Return its name in the list of reviewed survivors; it has no line number."""
        return f"{self.module} | {self.function} | {self.what}"

    @property
    def text(self) -> str:
        """Return the source line that it changes."""
        return self.path.read_text().splitlines()[self.line - 1]

    def code(self) -> ast.Module:
        """Return the tree with the change; the tree stays changed."""
        _put(self.parent, self.field, self.index, self.new)
        return ast.fix_missing_locations(self.tree)


def mutants(module: str, path: Path) -> list[Mutant]:
    """Return every mutant of one module, in source order."""
    return list(_Finder(module, path).found())


class _Finder:
    """Walks the tree and tracks the current function."""

    def __init__(self, module: str, path: Path) -> None:
        self._module, self._path = module, path
        self._tree = ast.parse(path.read_text())
        self._names: list[str] = []
        self._statement: ast.AST = self._tree
        self._depth = 0  # of function bodies

    def found(self) -> Iterator[Mutant]:
        yield from self._inside(self._tree)

    def _inside(self, node: ast.AST) -> Iterator[Mutant]:
        for field, value in ast.iter_fields(node):
            if field in {"annotation", "returns", "bases", "type_params", "format_spec"}:
                continue
            if isinstance(value, list):
                later = field == "body" and isinstance(node, ast.FunctionDef | ast.Lambda)
                self._depth += later
                for index, child in enumerate(value):
                    if isinstance(child, ast.AST):
                        yield from self._at(node, field, index, child)
                self._depth -= later
            elif isinstance(value, ast.AST):
                yield from self._at(node, field, None, value)

    def _at(
        self, parent: ast.AST, field: str, index: int | None, node: ast.AST
    ) -> Iterator[Mutant]:
        if _is_excluded(node):
            return
        name = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
        if name:
            self._names.append(name)
        outer_statement = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        for new in _changes(node):
            yield self._mutant(parent, field, index, node, new)
        if isinstance(node, ast.expr) and _is_condition(parent, field, node):
            negated = ast.UnaryOp(ast.Not(), node)
            yield self._mutant(parent, field, index, node, negated)
        if _is_removable(node) and not (self._names[-1:] == ["__init__"] and _is_store(node)):
            yield self._mutant(parent, field, index, node, ast.Pass())
        yield from self._inside(node)
        self._statement = outer_statement
        if name:
            self._names.pop()

    def _mutant(
        self, parent: ast.AST, field: str, index: int | None, node: ast.AST, new: ast.AST
    ) -> Mutant:
        ast.copy_location(new, node)
        whole = node if node is self._statement else self._statement
        before = _line(whole)
        if node is whole:
            after = _line(new)
        else:
            _put(parent, field, index, new)
            after = _line(whole)
            _put(parent, field, index, node)
        return Mutant(
            module=self._module,
            path=self._path,
            function=".".join(self._names) or "-",
            line=getattr(node, "lineno", 1),
            what=_difference(before, after),
            # Code without `super()` has no cell for the class, and cannot replace code with it.
            at_import=not self._depth or "super()" in before,
            tree=self._tree,
            parent=parent,
            field=field,
            index=index,
            new=new,
        )


def _is_excluded(node: ast.AST) -> bool:
    """Return whether no test on SQLite could notice a change: types, dataclass options, speed."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
        return node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        # SQLite has no string lengths; tests/migrations compares them on PostgreSQL.
        return node.func.id in {"dataclass", "TypeVar", "cast", "String"}
    return isinstance(node, ast.keyword) and node.arg in {"index", "cache_ok"}  # affects only speed


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Return the replacements of an expression or a `return`."""
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            yield from _other_conditions(node)
        case ast.BinOp() if type(node.op) in OPERATORS and not _is_text(node):
            yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        case ast.Constant(value=bool() | int() | float() as value):
            yield ast.Constant(not value if isinstance(value, bool) else value + 1)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Call():
            yield from _other_calls(node)
        case _:
            return


def _other_conditions(node: ast.Compare | ast.BoolOp | ast.UnaryOp) -> Iterator[ast.AST]:
    """Return comparisons with another operator; `and` for `or`, each part missing; no `not`."""
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for at in range(len(node.values)):
            yield _of(node.op, node.values[:at] + node.values[at + 1 :])
    elif "monotonic()" not in ast.unparse(node):  # two clock readings are never equal
        for at, operator in enumerate(node.ops):
            ops = [*node.ops[:at], COMPARISONS[type(operator)](), *node.ops[at + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    """Return the call of the opposite function, and the calls with one condition less."""
    name = getattr(node.func, "id", getattr(node.func, "attr", None))
    if isinstance(node.func, ast.Name) and name in OPPOSITES:
        yield ast.Call(ast.Name(OPPOSITES[name], ast.Load()), node.args, node.keywords)
    if name not in CONDITIONS:
        return
    if len(node.args) == 1 and isinstance(node.func, ast.Attribute):
        yield node.func.value
    elif len(node.args) > 1:
        for at in range(len(node.args)):
            yield ast.Call(node.func, node.args[:at] + node.args[at + 1 :], node.keywords)


def _of(operator: ast.boolop, values: list[ast.expr]) -> ast.expr:
    return values[0] if len(values) == 1 else ast.BoolOp(operator, values)


def _is_text(node: ast.BinOp) -> bool:
    """Return whether strings or types are joined: every test would notice."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and not isinstance(side.value, int | float))
        for side in sides
    )


def _is_condition(parent: ast.AST, field: str, node: ast.expr) -> bool:
    """Return whether a node is a condition without mutations of its own."""
    if isinstance(node, COMPOUND_CONDITIONS):
        return False
    decides = field == "test" and isinstance(parent, ast.If | ast.IfExp | ast.While)
    return decides or (field == "ifs" and isinstance(parent, ast.comprehension))


def _is_removable(node: ast.AST) -> bool:
    """Return whether a statement can be removed without leaving a name undefined."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Await)
    return isinstance(node, ast.Raise | ast.Continue | ast.Break | ast.Delete) or _is_store(node)


def _is_store(node: ast.AST) -> bool:
    """Return whether a statement sets an attribute or an item."""
    if isinstance(node, ast.AugAssign):
        return True
    if not isinstance(node, ast.Assign):
        return False
    parts = [part for target in node.targets for part in getattr(target, "elts", [target])]
    return all(isinstance(part, ast.Attribute | ast.Subscript) for part in parts)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _line(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _difference(before: str, after: str) -> str:
    """Return the differing parts of two texts, with some context."""
    start = _common_prefix_length(before, after)
    remaining = min(len(before), len(after)) - start
    end = min(remaining, _common_prefix_length(before[::-1], after[::-1]))
    start_at = max(0, start - CONTEXT_LENGTH)
    return " -> ".join(
        _cut(text, start_at, len(text) - end + CONTEXT_LENGTH) for text in (before, after)
    )


def _common_prefix_length(one: str, other: str) -> int:
    """Return the number of characters at the start that two texts have in common."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _cut(text: str, start_at: int, until: int) -> str:
    shown = text[start_at : min(until, start_at + MAX_LENGTH)]
    return f"{'...' if start_at else ''}{shown}{'...' if start_at + len(shown) < len(text) else ''}"
