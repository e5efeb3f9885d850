"""Step 2, the gate: checks every request before an endpoint runs.

`decorators` declare the rule of a view, `route_rules` those of routes that the application does not
own, `rules` check them, and `rulebook` makes sure that every route has one. `credentials` are what
a request may carry: `authenticate` verifies the access token and records which generations are in
use, `api_keys` and `hmac_signature` are the others. `object_check` asks whether the caller may
reach the object of a request, `csrf` protects the refresh cookie. `gate` runs these checks in
order, responds to OPTIONS, and wraps every view so that it does not run without them; `wsgi_guard`
stands before applications that are mounted beside Flask. `caller` is what an endpoint sees, and
`openapi` documents the rules.
"""
