from visitor import sign_in, visit


def test_ada_signs_in_and_sees_two_items(client):
    token = sign_in(client, "ada")["access_token"]
    assert visit(client, token).json["count"] == 2


def test_nobody_sees_them_without_a_token(client):
    assert client.get("/items").status_code in {401, 403}
