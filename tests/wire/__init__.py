"""The vendor's own samples of every call, one file a section."""
