"""The OpenAPI document, made from the blueprints and the rules of the gate."""
