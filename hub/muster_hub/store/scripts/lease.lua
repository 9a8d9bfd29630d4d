#!lua flags=allow-oom
-- Raises the counter of a node and returns the leases of all nodes, in one step.
-- KEYS: 1 leases: node -> "<incarnation> <counter> <time of the tombstone in ms, 0 while it lives>"
-- ARGV: 1 not_after (ms), 2 node, 3 incarnation, 4 counter, 5 "begin" or "go on"
-- Effect: the row holds the larger of both counters; rows with a tombstone older than a day are deleted. To begin takes
--   the row from any other incarnation; to go on does not.
-- Returns: node and row of every lease in turn.
-- Errors: tombstone (this incarnation was ended by another node), replaced (another incarnation has the row),
--   too_many_nodes.
-- Again: the same counter leaves the row as it is, so a repeat changes nothing.
-- Memory full: runs, a node must not die of that.
-- Volatile: a lease that a failover lost is raised again in a second.
local leases = unpack(KEYS)
local _, node, incarnation, counter, how = unpack(ARGV)
counter = tonumber(counter)

local row = redis.call('HGET', leases, node)
if row then
  local held_incarnation, last, tombstone_ms = row:match('^(%S+) (%d+) (%d+)')
  if held_incarnation == incarnation then
    if tombstone_ms ~= '0' then
      return refuse('tombstone')
    end
    counter = math.max(counter, tonumber(last))
  elseif how ~= 'begin' then
    return refuse('replaced')
  end
elseif redis.call('HLEN', leases) >= MAX_NODES then
  return refuse('too_many_nodes')
end
redis.call('HSET', leases, node, string.format('%s %d 0', incarnation, counter))

local rows = redis.call('HGETALL', leases)
local kept = {}
for i = 1, #rows, 2 do
  local tombstone_ms = tonumber(rows[i + 1]:match('^%S+ %d+ (%d+)'))
  if tombstone_ms > 0 and tombstone_ms + DAY_MS < now_ms then
    redis.call('HDEL', leases, rows[i])
  else
    kept[#kept + 1] = rows[i]
    kept[#kept + 1] = rows[i + 1]
  end
end
return kept
