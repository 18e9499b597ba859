"""The command ``mida``: click for the arguments, rich for what people see. It needs ``mida-async[cli]``."""
