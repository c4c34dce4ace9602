"""What the bodies of tasks call, in the project's image; importing it costs nothing."""
