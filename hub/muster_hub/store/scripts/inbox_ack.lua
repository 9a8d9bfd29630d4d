#!lua flags=allow-oom
-- Takes pushes out of a device's inbox.
-- KEYS: 1 inbox, 2 instances
-- ARGV: 1 not_after (ms), 2 connection that must be current, then the push ids
-- Effect: they are not delivered again.
-- Returns: how many there were.
-- Errors: superseded: what a ghost says it handled, the device's new process has not.
-- Again: they are gone already.
-- Memory full: runs, it makes room.
-- Volatile: a push that a failover brought back is delivered again, and devices know what they have.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return redis.error_reply('MUSTER superseded')
end
return redis.call('HDEL', KEYS[1], unpack(ARGV, 3))
