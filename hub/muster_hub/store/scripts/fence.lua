#!lua flags=no-writes
-- Reads whether a connection is still current.
-- KEYS: 1 instances
-- ARGV: 1 connection number
-- Effect: none.
-- Returns: 1 if it is, else 0.
-- Again: it only reads.
local instances = unpack(KEYS)
local connection = unpack(ARGV)
return redis.call('HEXISTS', instances, connection)
