"""The request context without the middleware of `create_app`, which sets it.

On another application it is read from the request when something asks for it first, which most
requests never do.
"""

from flask import has_request_context, request

from itemsapi.observability.context import RequestContext, read_request_context

REQUEST_CONTEXT = "itemsapi_request_context"  # of the request object


def context_of_request() -> RequestContext | None:
    """Return the context of the current request; None if there is none."""
    if not has_request_context():
        return None
    context = getattr(request, REQUEST_CONTEXT, None)
    if not isinstance(context, RequestContext):
        context = read_request_context(request.environ)
        setattr(request, REQUEST_CONTEXT, context)
    return context
