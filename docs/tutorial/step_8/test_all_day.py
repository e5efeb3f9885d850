from visitor import refresh, sign_in, visit


def test_ada_stays_signed_in_all_day(client, clock):
    tokens = sign_in(client, "ada")
    for _ in range(8):
        clock.advance(hours=1)
        tokens = tokens | refresh(client, tokens).json
        assert visit(client, tokens["access_token"]).status_code == 200


def test_a_refresh_token_opens_no_endpoint(client):
    tokens = sign_in(client, "ada")
    assert visit(client, tokens["refresh_token"]).status_code == 401
