"""Tools that know no room: every room may import them, they import none."""
