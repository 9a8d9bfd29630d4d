#!lua
-- Enters a connection anew that its node still holds, under the number that it has: after the node's incarnation was
-- buried, and now and then so that the entry of a device that trusts nobody outlives its day.
-- KEYS: 1 device, 2 instances, 3 peers, 4 watchers
-- ARGV: 1 not_after (ms), 2 connection number, 3 role, 4 its row in instances, 5 instance id, 6 fingerprint
-- Effect: the row names the node's incarnation of now, and one that does keeps its time; an agent has the seat again, if
--   nobody took it.
-- Returns: {"registered", {watching node, ...}}, no node where nothing changed; {"superseded"} when another connection
--   has the place, or the device has another key by now.
-- Again: the same row stands there already.
-- Volatile: what is lost is entered anew when the node, or its incarnation, changes.
local DAY_MS, MAX_CLI = 86400000, 8
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end

local held = redis.call('HMGET', KEYS[1], 'fp', 'seat', 'conn')
if held[1] and held[1] ~= ARGV[6] then
  return {'superseded'}
end
local clis = 0
local rows = redis.call('HGETALL', KEYS[2])
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if rows[i] ~= ARGV[2] then
    if row[1] == ARGV[5] or (ARGV[3] == 'agent' and row[2] == 'agent') then
      return {'superseded'}
    end
    clis = clis + (row[2] == 'cli' and 1 or 0)
  end
end
if ARGV[3] == 'cli' and clis >= MAX_CLI then
  return {'superseded'}
end
local mine, new = redis.call('HGET', KEYS[2], ARGV[2]), cmsgpack.unpack(ARGV[4])
mine = mine and cmsgpack.unpack(mine)
local watching = {}
if not mine or mine[3] ~= new[3] or mine[4] ~= new[4] then
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
  local watchers = redis.call('HGETALL', KEYS[4])
  for i = 1, #watchers, 2 do
    if tonumber(watchers[i + 1]) > now_ms then
      watching[#watching + 1] = watchers[i]
    end
  end
end
redis.call('HSET', KEYS[1], 'conn', string.format('%.0f', math.max(tonumber(held[3] or 0), tonumber(ARGV[2]))))
if ARGV[3] == 'agent' then
  redis.call('HSET', KEYS[1], 'seat', ARGV[2])
end
if redis.call('HLEN', KEYS[3]) == 0 then
  redis.call('PEXPIRE', KEYS[1], DAY_MS)
  redis.call('PEXPIRE', KEYS[2], DAY_MS)
end
return {'registered', watching}
