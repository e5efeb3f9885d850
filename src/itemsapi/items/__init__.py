"""The business behind the gate: items, who owns them, and how they are found.

`draft` is what a user says of an item, `item` how it is stored and handed out, `money` its price.
`words` makes words of a text, `index` finds items by them, `query` says what a list should hold,
`paging` where its next page starts, and `shelf` is the one door to all of it. Nothing in here
knows of tokens, scopes or HTTP: who calls says whose items it means (`owner`; `None` is
everybody's).
"""
