#!lua flags=allow-oom
-- Acknowledges pushes of a device's inbox.
-- KEYS: 1 inbox, 2 acknowledged, 3 instances
-- ARGV: 1 not_after (ms), 2 connection that must be current, then the push ids
-- Effect: they are not delivered again. The last MAX_ACKNOWLEDGED of them are known for a while, so that an effect that
--   is repeated does not put one of them again.
-- Returns: how many of them had waited.
-- Errors: superseded (the device's new process has not handled what an older one acknowledges).
-- Again: they are acknowledged already.
-- Memory full: runs, it makes room.
-- Volatile: a push that a failover brought back is delivered again, and devices know what they have.
local inbox, acknowledged, instances = unpack(KEYS)
local _, connection = unpack(ARGV, 1, 2)
local FIRST_PUSH = 3
if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local done = 0
for i = FIRST_PUSH, #ARGV do
  if redis.call('HDEL', inbox, ARGV[i]) == 1 then
    redis.call('ZADD', acknowledged, now_ms, ARGV[i])
    done = done + 1
  end
end
if done > 0 then
  redis.call('ZREMRANGEBYRANK', acknowledged, 0, -MAX_ACKNOWLEDGED - 1)
  redis.call('PEXPIRE', acknowledged, ACKNOWLEDGED_KEPT_MS)
end
return done
