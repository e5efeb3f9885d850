"""Who may hold a token: users, their roles and scopes, their passwords."""
