"""What is particular to each service that the delivery engine can send to."""
