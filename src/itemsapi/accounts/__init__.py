"""Users: their roles, scopes and passwords."""
