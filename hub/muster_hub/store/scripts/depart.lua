#!lua flags=allow-oom
-- Takes connections out: one that ended, or those of a lost node.
-- KEYS: 1 device, 2 instances, 3 watchers
-- ARGV: 1 not_after (ms), 2 cause, 3 when the device is expected back (ms, 0: it is not), 4... connection numbers
-- Effect: only these numbers go, and the agent's seat if it was one of them; the last to go leaves time and cause.
--   A watcher is not told of it before the device should have been back.
-- Returns: {1 if anything went else 0, {watching node, ...}}.
-- Again: a number that is gone is gone; nothing changes.
-- Runs when memory is full: it only takes away. Volatile: an entry that comes back names a connection that its node
-- does not have, and goes when that node, or that node's end, is noticed.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end

local seat, gone = redis.call('HGET', KEYS[1], 'seat'), 0
for i = 4, #ARGV do
  gone = gone + redis.call('HDEL', KEYS[2], ARGV[i])
  if ARGV[i] == seat then
    redis.call('HSET', KEYS[1], 'seat', '0')
  end
end
if gone == 0 then
  return {0, {}}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'last_seen', string.format('%.0f', now_ms), 'cause', ARGV[2])
  if ARGV[3] == '0' then
    redis.call('HDEL', KEYS[1], 'back_by')
  else
    redis.call('HSET', KEYS[1], 'back_by', ARGV[3])
  end
end

local watching, watchers = {}, redis.call('HGETALL', KEYS[3])
for i = 1, #watchers, 2 do
  if tonumber(watchers[i + 1]) > now_ms then
    watching[#watching + 1] = watchers[i]
  end
end
return {1, watching}
