from visitor import sign_in, visit


def test_a_token_of_an_hour_ago_is_refused(client, clock):
    token = sign_in(client, "ada")["access_token"]
    clock.advance(hours=1)
    assert visit(client, token).status_code == 401
