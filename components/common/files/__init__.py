"""Files written whole or not at all, and nothing replaced that is not ours; for all rooms."""
