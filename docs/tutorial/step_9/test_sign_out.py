from visitor import refresh, sign_in, visit


def test_after_the_sign_out_no_token_works(client):
    tokens = sign_in(client, "ada")
    client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert visit(client, tokens["access_token"]).status_code == 401
    assert refresh(client, tokens).status_code == 401
