"""What only the stack of containers needs (compose.yaml): its secrets, its watchdog, its health checks."""
