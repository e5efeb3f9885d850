"""FlaskSimpleAuth: authorization on each route, a signed token from a password."""

import os

from FlaskSimpleAuth import Flask

app = Flask(__name__)
app.config |= {
    "FSA_MODE": "prod",
    "FSA_AUTH": ["token", "param", "none"],
    "FSA_TOKEN_TYPE": "fsa",
    "FSA_TOKEN_SECRET": os.urandom(32).hex(),
    "FSA_TOKEN_DELAY": int(os.environ["ACCESS_SECONDS"]) / 60,
    "FSA_PASSWORD_SCHEME": "plaintext",
    "FSA_LOCAL": "thread",
    "FSA_SECURE": False,
}
passwords = {"ada": os.environ["PASSWORD"], "eve": os.environ["PASSWORD"]}
app.get_user_pass(passwords.get)
app.group_check("reader", lambda name: name == "ada")


@app.post("/login", authz="AUTH", authn="param")
def login():
    return {"access_token": app.create_token(app.get_user())}, 200


@app.get("/orders", authz="reader", authn="token")
def orders():
    return {"orders": []}, 200


@app.get("/open", authz="OPEN", authn="none")
def open_to_all():
    return {"hello": "world"}, 200


@app.get("/forgotten")
def forgotten():
    return {"secret": 1}, 200


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), threaded=True)
