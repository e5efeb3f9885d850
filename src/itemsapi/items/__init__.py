"""The business domain behind the gate: items, their owners, and how items are found.

`models` has the draft that a user sends, the table, and the record that is returned; `money` parses
and formats prices. `tokenizer` cuts a text into words and `search_index` finds items by them;
`query` describes a list and encodes the cursor of its next page, and `listing` reads it: filters by
the rule in `search_plan`, all by the SQL in `list_statements`. `quota` limits what a user may
store. `service` is the entry point to all of it.

Nothing in this package knows about tokens, scopes or HTTP: the caller passes `owner`, the user
whose items are meant; `None` means the items of all users.
"""
