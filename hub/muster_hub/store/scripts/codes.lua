#!lua flags=no-writes
-- Reads the codes that are kept.
-- KEYS: 1 codes
-- ARGV: none.
-- Effect: none.
-- Returns: {hash, row, ...}.
-- Again: it only reads.
local codes = unpack(KEYS)
return redis.call('HGETALL', codes)
