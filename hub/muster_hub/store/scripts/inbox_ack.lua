#!lua flags=allow-oom
-- Acknowledges pushes of a device's inbox.
-- KEYS: 1 inbox, 2 instances
-- ARGV: 1 not_after (ms), 2 connection that must be current, then the push ids
-- Effect: they are not delivered again. The inbox knows the last MAX_ACKNOWLEDGED of them for a while, so that an effect
--   that is repeated does not put one of them again.
-- Returns: how many of them had waited.
-- Errors: superseded (the device's new process has not handled what an older one acknowledges).
-- Again: they are acknowledged already.
-- Memory full: runs, it makes room.
-- Volatile: a push that a failover brought back is delivered again, and devices know what they have.
local inbox, instances = unpack(KEYS)
local _, connection = unpack(ARGV, 1, 2)
local FIRST_PUSH = 3
if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local done = 0
for i = FIRST_PUSH, #ARGV do
  local row = row_in(inbox, ARGV[i])
  if row and row[PUSH.frame] ~= '' then
    row[PUSH.frame], row[PUSH.expires_ms] = '', math.min(row[PUSH.expires_ms], now_ms + ACKNOWLEDGED_KEPT_MS)
    redis.call('HSET', inbox, ARGV[i], cmsgpack.pack(row))
    done = done + 1
  end
end
if done > 0 and redis.call('HLEN', inbox) > MAX_ACKNOWLEDGED then
  local acknowledged, rows = {}, redis.call('HGETALL', inbox)
  for i = 1, #rows, 2 do
    local row = cmsgpack.unpack(rows[i + 1])
    if row[PUSH.frame] == '' then
      acknowledged[#acknowledged + 1] = {row[PUSH.order], rows[i]}
    end
  end
  table.sort(acknowledged, function(one, other) return one[1] < other[1] end)
  for i = 1, #acknowledged - MAX_ACKNOWLEDGED do
    redis.call('HDEL', inbox, acknowledged[i][2])
  end
end
return done
