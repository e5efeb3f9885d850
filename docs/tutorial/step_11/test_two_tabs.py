from visitor import refresh, sign_in, visit


def test_two_tabs_may_refresh_at_once(client):
    tokens = sign_in(client, "ada")
    tabs = [refresh(client, tokens), refresh(client, tokens)]
    for tab in tabs:
        assert tab.status_code == 200
        assert visit(client, tab.json["access_token"]).status_code == 200


def test_only_one_of_them_gets_the_next_refresh_token(client):
    tokens = sign_in(client, "ada")
    tabs = [refresh(client, tokens), refresh(client, tokens)]
    assert ["refresh_token" in tab.json for tab in tabs] == [True, False]
