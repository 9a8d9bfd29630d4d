#!lua
-- Puts a push into a device's inbox, where it waits until it is acknowledged or expires.
-- KEYS: 1 inbox, 2 instances, 3 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 device, 3 push id, 4 when it expires (ms), 5 frame, then push ids that it takes the place of
-- Effect: the push waits, behind those that came before it, and the outbox asks for another notify, should the first
--   one be lost.
-- Returns: the instances, number and row in turn, for a notify; nil when MAX_WAITING pushes wait already.
-- Again: a push that waits already keeps its place.
-- Volatile: a push that a failover lost is sent again, or read from the session.
local MAX_WAITING = 64
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local last, waiting, latest = 0, 0, tonumber(ARGV[4])
if #ARGV > 5 then
  redis.call('HDEL', KEYS[1], unpack(ARGV, 6))
end
local rows = redis.call('HGETALL', KEYS[1])
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if row[2] <= now_ms then
    redis.call('HDEL', KEYS[1], rows[i])
  elseif rows[i] == ARGV[3] then
    return redis.call('HGETALL', KEYS[2])
  else
    last, waiting, latest = math.max(last, row[1]), waiting + 1, math.max(latest, row[2])
  end
end
if waiting >= MAX_WAITING then
  return nil
end
local order = math.max(last + 1, now_ms * 1000)
redis.call('HSET', KEYS[1], ARGV[3], cmsgpack.pack({order, tonumber(ARGV[4]), ARGV[5]}))
redis.call('XADD', KEYS[3], '*', 'kind', 'notify', 'data', cmsgpack.pack({ARGV[2]}))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', latest))
return redis.call('HGETALL', KEYS[2])
