"""Step 2, the gate: checks every request before an endpoint runs.

`decorators` declare the rule of a view, `rules` check it, and `rulebook` makes sure that every
route has one. `authenticate` verifies the access token, `csrf` protects the refresh cookie, `gate`
runs these checks in order, and `guarded_views` prevents a view from running without them. `caller`
is what an endpoint sees, `options` responds to OPTIONS, `seen_generations` records which tokens are
in use, and `openapi` documents the rules.
"""
