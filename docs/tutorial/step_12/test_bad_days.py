from visitor import refresh, sign_in, visit


def test_a_lost_answer_signs_nobody_out(client, clock):
    tokens = sign_in(client, "ada")
    refresh(client, tokens)  # the answer never arrives
    clock.advance(hours=1)  # and the laptop sleeps
    again = refresh(client, tokens)
    assert again.status_code == 200
    assert visit(client, again.json["access_token"]).status_code == 200


def test_nobody_may_guess_passwords_for_ever(client):
    sent = {"username": "ada", "password": "a guess"}
    guesses = [client.post("/auth/login", json=sent).status_code for _ in range(15)]
    assert guesses[-1] == 429
