"""Code samples of the operations, made from the document: `x-codeSamples` in the form of ReDoc."""

from collections.abc import Mapping
from typing import Any

from itemsapi.rest.openapi.samples.curl import curl
from itemsapi.rest.openapi.samples.javascript import javascript
from itemsapi.rest.openapi.samples.python import python
from itemsapi.rest.openapi.samples.sample_request import SampleRequest, sample_request

CODE_SAMPLES = "x-codeSamples"
LANGUAGES = (
    ("Shell", "curl", curl),
    ("Python", "Python", python),
    ("JavaScript", "JavaScript", javascript),
)


def add_code_samples(document: Mapping[str, Any], url: str) -> None:
    """Add samples to each operation of a document that has none; `url` is that of the service.

    Operations without the rule of the gate are left as they are.
    """
    for path, item in document["paths"].items():
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method == "parameters" or "x-access" not in operation:
                continue
            parameters = [*shared, *operation.get("parameters", [])]
            described = {**operation, "parameters": parameters}
            request = sample_request(document, path, method, described, url)
            if request is not None:
                operation.setdefault(CODE_SAMPLES, _write(request))


def _write(request: SampleRequest) -> list[dict[str, str]]:
    return [
        {"lang": language, "label": label, "source": write(request)}
        for language, label, write in LANGUAGES
    ]
