#!lua flags=no-writes
-- Reads the pushes in a device's inbox.
-- KEYS: 1 inbox, 2 instances
-- ARGV: none
-- Effect: none.
-- Returns: [push id and row of every push in turn, in no order and expired ones included], [number, row of every
--   instance in turn].
-- Again: it only reads.
local inbox, instances = unpack(KEYS)
return {redis.call('HGETALL', inbox), redis.call('HGETALL', instances)}
