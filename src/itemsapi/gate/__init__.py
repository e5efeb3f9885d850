"""Step 2, the gate: checks every request before an endpoint runs.

`decorators` declare the rule of a view and `route_rules` those given by key; `rules` check them,
`object_check` runs `on=`, and `rulebook` makes sure that every route has one. `credentials` finds
the one credential of a request: `authenticate` verifies the access token and records which
generations are in use, `api_keys` and `hmac_signature` are two others, the latter with the
`signature_formats` and the `raw_body` of a request. `csrf` protects the refresh cookie. `gate` runs
these checks in order, `responses` are what it answers to a rejected request and to OPTIONS, and
`guarded_views` wraps every view so that it does not run without them; `wsgi_guard` stands before
mounted applications, and `without_gate` refuses views with a rule on an application that has no
gate. `caller` is what an endpoint sees, `request_claims` what Flask-JWT-Extended sees, `openapi`
documents the rules.
"""

from itemsapi.gate import without_gate

__all__ = ["without_gate"]  # imported, so that it watches whoever declares a rule
