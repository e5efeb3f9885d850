"""STEP 2. The gate: stands before every endpoint and lets a request in, or not.

`access` declares, `rules` decides, `rulebook` makes sure that nothing was forgotten,
`credentials` and `verify` find out who is there, `gate` puts them in a row, and `seal` lets no view
run without it.
"""
