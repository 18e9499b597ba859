"""The sections of the API, each a class of typed methods over the endpoint table."""
