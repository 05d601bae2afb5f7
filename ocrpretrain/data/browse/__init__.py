"""Looking at data: statistics, a contact sheet and an HTML page of any source."""
