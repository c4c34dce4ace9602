"""The server for production: what clients send in, the champion's answers out; for commands."""
