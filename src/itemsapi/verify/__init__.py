"""Attack a running service from its OpenAPI document, and say what was proved.

`itemsapi verify URL` is the way in. `prepare` reads the document and signs in; `Verification.run`
attacks each operation and returns a `Report`. It sends requests to the host of the URL alone.
"""
