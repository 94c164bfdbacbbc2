"""Who may ask what, and who asks: keys, roles, sessions of the dashboard, the door itself."""
