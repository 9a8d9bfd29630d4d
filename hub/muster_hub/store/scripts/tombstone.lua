#!lua flags=allow-oom
-- Marks the lease of a node as buried, if it still stands where an observer saw it stand still.
-- KEYS: 1 leases, a hash of node -> "<incarnation> <counter> <buried at in ms, 0 while it is not>"
-- ARGV: 1 node, 2 incarnation, 3 counter as observed, 4 not_after (ms)
-- Effect: that incarnation can never renew again.
-- Returns: "buried"; or "moved" when the counter, or the incarnation, is another one by now.
-- Again: a row that is buried already keeps its time, and the answer is the same.
-- Memory full: runs, or the dead would look alive.
-- Volatile: a burial that a failover lost is found again by any observer.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[4]) then
  return redis.error_reply('MUSTER late')
end

local row = redis.call('HGET', KEYS[1], ARGV[1])
if not row then
  return 'moved'
end
local incarnation, counter, buried_ms = row:match('^(%S+) (%d+) (%d+)$')
if incarnation ~= ARGV[2] or (counter ~= ARGV[3] and buried_ms == '0') then
  return 'moved'
end
if buried_ms == '0' then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %s %.0f', incarnation, counter, now_ms))
end
return 'buried'
