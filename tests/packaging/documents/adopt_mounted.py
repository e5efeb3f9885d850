from flask import Flask

from itemsapi import AuthLayer, Scope, public, requires

OFFICE_USE = Scope("office:use", "Use the office")
app = Flask(__name__)
auth = AuthLayer(app, rules={"static": public("files")})


def reports(environ, start_response):
    start_response("200 OK", [])
    return [b"reports"]
