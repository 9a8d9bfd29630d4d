#!lua flags=allow-oom
-- Removes pushes from a device's inbox.
-- KEYS: 1 inbox, 2 instances
-- ARGV: 1 not_after (ms), 2 connection that must be current, then the push ids
-- Effect: they are not delivered again.
-- Returns: how many there were.
-- Errors: superseded (the device's new process has not handled what an older one acknowledges).
-- Again: they are gone already.
-- Memory full: runs, it makes room.
-- Volatile: a push that a failover brought back is delivered again, and devices know what they have.
local inbox, instances = unpack(KEYS)
local _, connection = unpack(ARGV, 1, 2)
local FIRST_PUSH = 3
if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
return redis.call('HDEL', inbox, unpack(ARGV, FIRST_PUSH))
