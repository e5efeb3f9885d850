"""Step 2, the gate: checks every request before an endpoint runs.

`decorators` declare the rule of a view, `rules` check it, and `rulebook` makes sure that every
route has one. `authenticate` verifies the access token and records which generations are in use,
`csrf` protects the refresh cookie. `gate` runs these checks in order, responds to OPTIONS, and
wraps every view so that it does not run without them. `caller` is what an endpoint sees, and
`openapi` documents the rules.
"""
