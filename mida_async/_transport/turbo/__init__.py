"""The transport over httptools: protocols instead of streams, and nothing between them and the caller."""
