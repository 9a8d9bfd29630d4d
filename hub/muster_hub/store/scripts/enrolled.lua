#!lua flags=no-writes
-- Reads the enrolled devices of a bucket.
-- KEYS: 1 enrolled
-- ARGV: none.
-- Effect: none.
-- Returns: {client, row, ...}.
-- Again: it only reads.
local enrolled = unpack(KEYS)
return redis.call('HGETALL', enrolled)
