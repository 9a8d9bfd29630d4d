#!lua flags=allow-oom
-- Raises the counter of a node and returns the leases of all nodes, in one step.
-- KEYS: 1 leases, a hash of node -> "<incarnation> <counter> <buried at in ms, 0 while it is not>"
-- ARGV: 1 node, 2 incarnation, 3 counter, 4 "begin" or "go on", 5 not_after (ms)
-- Effect: the row holds the larger of both counters; rows buried for more than a day are forgotten. To begin takes the
--   row from any other incarnation; to go on does not.
-- Returns: node and row of every lease in turn; or "buried", or "replaced" when another incarnation has the row.
-- Again: the same counter leaves the row as it is, so a repeat changes nothing.
-- Memory full: runs, a node must not die of that.
-- Volatile: a lease that a failover lost is raised again in a second.
local DAY_MS, MAX_NODES = 86400000, 1024
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[5]) then
  return redis.error_reply('MUSTER late')
end

local counter = tonumber(ARGV[3])
local row = redis.call('HGET', KEYS[1], ARGV[1])
if row then
  local incarnation, last, buried_ms = row:match('^(%S+) (%d+) (%d+)$')
  if incarnation == ARGV[2] then
    if buried_ms ~= '0' then
      return 'buried'
    end
    counter = math.max(counter, tonumber(last))
  elseif ARGV[4] ~= 'begin' then
    return 'replaced'
  end
elseif redis.call('HLEN', KEYS[1]) >= MAX_NODES then
  return redis.error_reply('MUSTER too_many_nodes')
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %d 0', ARGV[2], counter))

local rows = redis.call('HGETALL', KEYS[1])
local kept = {}
for i = 1, #rows, 2 do
  local buried_ms = tonumber(rows[i + 1]:match(' (%d+)$'))
  if buried_ms > 0 and buried_ms + DAY_MS < now_ms then
    redis.call('HDEL', KEYS[1], rows[i])
  else
    kept[#kept + 1] = rows[i]
    kept[#kept + 1] = rows[i + 1]
  end
end
return kept
