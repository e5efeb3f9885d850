"""Tokens: scopes, claims, signing keys, the codec, sessions and revocations."""
