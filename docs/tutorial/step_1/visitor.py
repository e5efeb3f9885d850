"""What a visitor of the shop does, in the tests of all steps."""

PASSWORDS = {"ada": "quiet geese cross the river", "bob": "lemon trees in the garden"}


def sign_in(client, name):
    """Show the password; return what comes back: the tokens."""
    sent = {"username": name, "password": PASSWORDS[name]}
    return client.post("/auth/login", json=sent).json


def visit(client, token, path="/items", method="GET"):
    """Go to an endpoint with an access token; return the response."""
    shown = {"Authorization": f"Bearer {token}"}
    return client.open(path, method=method, headers=shown, buffered=True)


def refresh(client, tokens):
    """Ask for new tokens with the refresh token; return the response."""
    sent = {"refresh_token": tokens.get("refresh_token")}
    return client.post("/auth/refresh", json=sent)
