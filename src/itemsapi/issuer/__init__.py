"""STEP 1. The issuer: whoever proves who they are gets tokens.

One use case a module, named by its verb; `desk` is what every flow needs, `grants` the only place
that mints. Nothing here knows HTTP.
"""
