#!lua flags=no-writes
-- Reads how often a device was held for a session.
-- KEYS: 1 device
-- ARGV: none
-- Effect: none.
-- Returns: the number.
-- Again: it only reads.
local device = unpack(KEYS)
return tonumber(redis.call('HGET', device, 'holds') or 0)
