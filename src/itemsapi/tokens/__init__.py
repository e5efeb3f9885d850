"""Tokens: scopes, claims, signing keys, the codec, sessions and revocations.

`claims` says what a token contains, `jwt` creates and verifies tokens. `keys` are single keys,
`key_store` is their table, and `key_set` what a process holds of it. `sessions` is the table of
sign-ins, `rotation` the rule of their refresh tokens, and `revocation` the feed of what is revoked.
"""
