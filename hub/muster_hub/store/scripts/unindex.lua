#!lua flags=allow-oom
-- Drops sessions from the index of a device.
-- KEYS: 1 session_index
-- ARGV: 1 not_after (ms), then the entry of each: session and creator, with a space between. Nothing is committed in
--   these sessions any more, so no restriction has to reach them.
-- Effect: they are not in the index.
-- Returns: how many of them were.
-- Again: they are not in the index any more.
-- Memory full: runs, it makes nothing larger.
local session_index = unpack(KEYS)
local FIRST_SESSION = 2
return redis.call('ZREM', session_index, unpack(ARGV, FIRST_SESSION))
