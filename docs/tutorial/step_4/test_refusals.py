from visitor import sign_in, visit


def test_without_a_token_it_is_401(client):
    response = client.get("/items")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_with_a_wrong_password_it_is_401(client):
    sent = {"username": "ada", "password": "quiet ducks cross the river"}
    assert client.post("/auth/login", json=sent).status_code == 401


def test_a_mistake_of_ours_is_no_refusal(client, monkeypatch):
    token = sign_in(client, "ada")["access_token"]
    monkeypatch.setattr("app.ITEMS", None)
    assert visit(client, token).status_code == 500
