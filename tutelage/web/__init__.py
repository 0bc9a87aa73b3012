"""The console: the ledger as pages, for whoever has an admin key."""
