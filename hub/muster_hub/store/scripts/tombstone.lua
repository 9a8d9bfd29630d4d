#!lua flags=allow-oom
-- Ends the lease of a node, if it still is as an observer saw it stand still.
-- KEYS: 1 leases: node -> "<incarnation> <counter> <time of the tombstone in ms, 0 while it lives>"
-- ARGV: 1 not_after (ms), 2 node, 3 incarnation, 4 counter as observed
-- Effect: that incarnation can never renew again.
-- Returns: 1 when it has a tombstone; 0 when the counter, or the incarnation, is another one by now.
-- Again: a tombstone keeps its time, and the answer is the same.
-- Memory full: runs, or a dead node would look alive.
-- Volatile: any observer finds again that a counter stands still.
local leases = unpack(KEYS)
local node, incarnation, counter = unpack(ARGV, 2)

local row = redis.call('HGET', leases, node)
if not row then
  return 0
end
local held_incarnation, held_counter, tombstone_ms, further = row:match('^(%S+) (%d+) (%d+)(.*)$')
if held_incarnation ~= incarnation or (held_counter ~= counter and tombstone_ms == '0') then
  return 0
end
if tombstone_ms == '0' then
  redis.call('HSET', leases, node, string.format('%s %s %s%s', incarnation, held_counter, text(now_ms), further))
end
return 1
