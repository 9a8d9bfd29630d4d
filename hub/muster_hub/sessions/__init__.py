"""Sessions: their state, invites, answers, joins, epochs and cuts, and the dry run of an invite."""
