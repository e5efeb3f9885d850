"""Routes: which methods of one run a view."""

from werkzeug.routing import Rule as Route


def has_automatic_options(route: Route | None) -> bool:
    """Return whether Flask responds to OPTIONS of a route itself, without running a view."""
    return bool(getattr(route, "provide_automatic_options", False))


def methods_with_views(route: Route) -> set[str]:
    """Return the methods of a route that run a view; none if it names no methods."""
    return (route.methods or set()) - ({"OPTIONS"} if has_automatic_options(route) else set())
