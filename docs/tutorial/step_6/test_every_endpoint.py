import re

PUBLIC = ("/auth/", "/oauth/", "/.well-known/")


def test_every_endpoint_of_the_shop_wants_a_token(client):
    opened = []
    for rule in client.application.url_map.iter_rules():
        path = re.sub("<.*?>", "1", rule.rule)
        for method in sorted(rule.methods - {"OPTIONS"}):
            if not path.startswith(PUBLIC) and client.open(path, method=method).status_code != 401:
                opened.append(f"{method} {path}")
    assert opened == []
