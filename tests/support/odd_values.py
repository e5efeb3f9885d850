"""Values that no id and no word of a token may have."""

ID = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"
NO_IDS = (
    "x",
    f" {ID}",
    f"{ID}\n",
    f"{ID}\0",
    f"{ID[:-1]}\0",
    f"{ID[:-1]}\ud800",
    f"{ID[:-1]}\u202e",
    f"{ID[:-1]}\uff11",  # a digit, and none of ASCII
    ID.upper(),
    ID.replace("-", ""),
    "\udfff",
    "\r\nX: y",
    "' OR 1=1--",
)
NO_WORDS: tuple[object, ...] = (None, "", 0, 1, 7.5, True, [], ["x"], {}, {"$ne": ""}, "x" * 201)
