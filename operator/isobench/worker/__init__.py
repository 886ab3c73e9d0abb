"""What pods run: each command is the work of one container, told by one JSON argument; it ends with a message."""
