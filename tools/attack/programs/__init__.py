"""Programs that attackers start as processes of their own."""
