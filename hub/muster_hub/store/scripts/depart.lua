#!lua flags=allow-oom
-- Removes connections: one that ended, or those of a lost node.
-- KEYS: 1 device, 2 instances, 3 watchers
-- ARGV: 1 not_after (ms), 2 cause, 3 when the device is expected back (ms, 0: it is not), 4... connection numbers
-- Effect: only these numbers go, and the agent's seat if it was one of them; the last to go leaves time and cause.
--   A watcher is not told of it before the device should have been back.
-- Returns: {1 if any was there, else 0, {watching node, ...}}.
-- Again: a number that is gone is gone; nothing changes.
-- Memory full: runs, it only removes.
-- Volatile: an entry that comes back names a connection that its node does not have, and goes when that node, or that
-- node's end, is noticed.
local device, instances, watchers = unpack(KEYS)
local _, cause, back_by_ms = unpack(ARGV, 1, 3)
local FIRST_NUMBER = 4

local seat, gone = redis.call('HGET', device, 'seat'), 0
for i = FIRST_NUMBER, #ARGV do
  gone = gone + redis.call('HDEL', instances, ARGV[i])
  if ARGV[i] == seat then
    redis.call('HSET', device, 'seat', '0')
  end
end
if gone == 0 then
  return {0, {}}
end
if redis.call('EXISTS', device) == 1 then
  redis.call('HSET', device, 'last_seen', text(now_ms), 'cause', cause)
  if back_by_ms == '0' then
    redis.call('HDEL', device, 'back_by')
  else
    redis.call('HSET', device, 'back_by', back_by_ms)
  end
end
return {1, watching_nodes(watchers)}
