"""What a token is: scopes, claims, the key ring, the codec, sessions and revocations."""
