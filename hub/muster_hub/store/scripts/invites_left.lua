#!lua flags=no-writes
-- Reads whether a device may be invited to a session once more.
-- KEYS: 1 invite_outcomes
-- ARGV: 1 client
-- Effect: none.
-- Returns: how many more invites to this device the session takes, 0 where it takes no more of any.
-- Again: it only reads.
local invite_outcomes = unpack(KEYS)
local client = unpack(ARGV)
local room = MAX_INVITES_PER_SESSION - redis.call('HLEN', invite_outcomes)
local ended = count_invites(invite_outcomes)[client] or 0
return math.max(0, math.min(room, MAX_INVITES_PER_TARGET - ended))
