"""Where accepted records are kept until they have come to their end; each kind is chosen by importing its module."""
