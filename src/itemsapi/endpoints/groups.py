"""The groups of the layer's blueprints in the menu of the document.

What is in no group, such as the endpoints of an application, is the first part of the menu.
"""

SIGN_IN = "Signing in"
ACCOUNT = "Your account"
OPERATORS = "For operators"
MONITORING = "Monitoring"
