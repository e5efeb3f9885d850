"""STEP 1. The issuer: it authenticates users and issues their tokens.

Each module has one use case or one kind of record. `issuer` is what all of them need, and the only
place that mints tokens. Nothing here knows HTTP.
"""
