from visitor import sign_in, visit


def test_bob_may_look_and_not_delete(client):
    token = sign_in(client, "bob")["access_token"]
    assert visit(client, token).status_code == 200
    assert visit(client, token, "/items/1", "DELETE").status_code == 403


def test_ada_may_delete(client):
    token = sign_in(client, "ada")["access_token"]
    assert visit(client, token, "/items/1", "DELETE").status_code == 204
