"""The small breaks: what is changed in a module, one change at a time.

Strings are left alone (most are words for people), and so are annotations and the attributes that
`__init__` sets, which hardly anything can run without: breaks that no test could miss say nothing.
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
TWINS = {"max": "min", "min": "max", "any": "all", "all": "any"}
CONDITIONS = {"where", "and_", "or_"}  # SQLAlchemy's: each argument is one
SPEAKING = (
    ast.Compare,
    ast.BoolOp,
    ast.UnaryOp,
    ast.Constant,
)  # conditions with breaks of their own
AROUND, SHOWN = 40, 140  # characters of code around a change, and at all


@dataclass(frozen=True)
class Mutant:
    """One change: `new` stands in `parent` at `field`, and in a list at `index`."""

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
        """Return what the list of reviewed survivors knows it by; no line number, which moves."""
        return f"{self.module} | {self.function} | {self.what}"

    @property
    def text(self) -> str:
        """Return the line of the module that it changes."""
        return self.path.read_text().splitlines()[self.line - 1]

    def code(self) -> ast.Module:
        """Return the tree with the change in it; the tree stays changed."""
        _put(self.parent, self.field, self.index, self.new)
        return ast.fix_missing_locations(self.tree)


def mutants(module: str, path: Path) -> list[Mutant]:
    """Return every change of one module, in the order of the text."""
    return list(_Finder(module, path).found())


class _Finder:
    """Walks the tree and knows in which function it is."""

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
        if _left_alone(node):
            return
        name = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
        if name:
            self._names.append(name)
        around = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        for new in _changes(node):
            yield self._mutant(parent, field, index, node, new)
        if isinstance(node, ast.expr) and _condition(parent, field, node):
            denied = ast.UnaryOp(ast.Not(), node)
            yield self._mutant(parent, field, index, node, denied)
        if _removable(node) and not (self._names[-1:] == ["__init__"] and _sets(node)):
            yield self._mutant(parent, field, index, node, ast.Pass())
        yield from self._inside(node)
        self._statement = around
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
            # Code without `super()` has no place for the class, and cannot replace code with it.
            at_import=not self._depth or "super()" in before,
            tree=self._tree,
            parent=parent,
            field=field,
            index=index,
            new=new,
        )


def _left_alone(node: ast.AST) -> bool:
    """Tell what no test on SQLite could notice: types, how dataclasses are made, speed."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
        return node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        # SQLite knows no lengths of strings; on PostgreSQL tests/migrations compares them.
        return node.func.id in {"dataclass", "TypeVar", "cast", "String"}
    return isinstance(node, ast.keyword) and node.arg in {"index", "cache_ok"}  # only a speed


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Return what an expression, or a `return`, is replaced with."""
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            yield from _other_answers(node)
        case ast.BinOp() if type(node.op) in OPERATORS and not _text(node):
            yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        case ast.Constant(value=bool() | int() | float() as value):
            yield ast.Constant(not value if isinstance(value, bool) else value + 1)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Call():
            yield from _other_calls(node)
        case _:
            return


def _other_answers(node: ast.Compare | ast.BoolOp | ast.UnaryOp) -> Iterator[ast.AST]:
    """Return comparisons with another operator; `and` for `or`, each part missing; no `not`."""
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for at in range(len(node.values)):
            yield _of(node.op, node.values[:at] + node.values[at + 1 :])
    elif "monotonic()" not in ast.unparse(node):  # two readings never meet: the bound is nowhere
        for at, operator in enumerate(node.ops):
            ops = [*node.ops[:at], COMPARISONS[type(operator)](), *node.ops[at + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    """Return the call of the twin, and the calls with one condition less."""
    name = getattr(node.func, "id", getattr(node.func, "attr", None))
    if isinstance(node.func, ast.Name) and name in TWINS:
        yield ast.Call(ast.Name(TWINS[name], ast.Load()), node.args, node.keywords)
    if name not in CONDITIONS:
        return
    if len(node.args) == 1 and isinstance(node.func, ast.Attribute):
        yield node.func.value
    elif len(node.args) > 1:
        for at in range(len(node.args)):
            yield ast.Call(node.func, node.args[:at] + node.args[at + 1 :], node.keywords)


def _of(operator: ast.boolop, values: list[ast.expr]) -> ast.expr:
    return values[0] if len(values) == 1 else ast.BoolOp(operator, values)


def _text(node: ast.BinOp) -> bool:
    """Tell whether strings are put together, or types: every test would meet that."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and not isinstance(side.value, int | float))
        for side in sides
    )


def _condition(parent: ast.AST, field: str, node: ast.expr) -> bool:
    """Tell whether a node decides what is done, and has no break of its own that says so."""
    if isinstance(node, SPEAKING):
        return False
    decides = field == "test" and isinstance(parent, ast.If | ast.IfExp | ast.While)
    return decides or (field == "ifs" and isinstance(parent, ast.comprehension))


def _removable(node: ast.AST) -> bool:
    """Tell whether a statement can go without leaving a name undefined."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Await)
    return isinstance(node, ast.Raise | ast.Continue | ast.Break | ast.Delete) or _sets(node)


def _sets(node: ast.AST) -> bool:
    """Tell whether a statement sets an attribute or an item."""
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
    """Show two texts where they differ, with a little of what stands around it."""
    start = _alike(before, after)
    rest = min(len(before), len(after)) - start
    end = min(rest, _alike(before[::-1], after[::-1]))
    since = max(0, start - AROUND)
    return " -> ".join(_cut(text, since, len(text) - end + AROUND) for text in (before, after))


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts begin with in common."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _cut(text: str, since: int, until: int) -> str:
    shown = text[since : min(until, since + SHOWN)]
    return f"{'...' if since else ''}{shown}{'...' if since + len(shown) < len(text) else ''}"
