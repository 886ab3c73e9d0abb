"""Language models: the client, the metering gateway, the ledger."""
