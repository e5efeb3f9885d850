from visitor import refresh, sign_in, visit


def use_and_refresh(client, tokens):
    tokens = tokens | refresh(client, tokens).json
    assert visit(client, tokens["access_token"]).status_code == 200
    return tokens


def test_a_thief_who_comes_second_ends_the_session(client, clock):
    stolen = sign_in(client, "ada")
    owner = use_and_refresh(client, stolen)
    clock.advance(minutes=5)
    assert refresh(client, stolen).status_code == 401
    assert refresh(client, owner).status_code == 401


def test_a_thief_who_comes_first_is_out_when_the_owner_comes(client, clock):
    owner = sign_in(client, "ada")
    thief = use_and_refresh(client, owner)
    clock.advance(minutes=5)
    assert refresh(client, owner).status_code == 401
    assert refresh(client, thief).status_code == 401
