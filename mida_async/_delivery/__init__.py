"""The delivery engine: a caller's half that accepts, a background half that sends, and the books between them."""
