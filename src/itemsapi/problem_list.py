"""The list of all problems, for the documentation."""

from itemsapi.problems import Problem


def list_problems() -> list[type[Problem]]:
    """Return all problem classes with a code, by status and code, for the documentation."""
    problems: set[type[Problem]] = set()
    queue: list[type[Problem]] = [Problem]
    while queue:
        subclasses = queue.pop().__subclasses__()
        problems.update(subclasses)
        queue.extend(subclasses)
    return sorted((p for p in problems if "code" in vars(p)), key=lambda p: (p.status, p.code))
