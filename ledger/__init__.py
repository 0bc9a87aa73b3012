"""What the gateway writes and everybody else reads: spool, ingester, tables and the questions asked of them."""
