"""The OpenAPI document, built from the blueprints and the rules of the gate."""
