"""Step 1, the issuer: it authenticates users and issues their tokens.

Each module has one use case or one kind of record. `issuer` contains what all of them need, and is
the only module that mints tokens. Nothing here knows HTTP.
"""
