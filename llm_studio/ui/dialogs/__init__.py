"""Windows that ask or tell something of their own."""
