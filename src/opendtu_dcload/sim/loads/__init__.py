"""House loads that somebody measured: read from what spreadsheets, meters, home automations and this program write."""
