#!lua flags=allow-oom
-- Writes down how far a bucket's outbox was drained, and makes room: effects go once they were carried out, of records
-- the newest MAX_KEPT stay, and up to TRIM_AT_ONCE more.
-- KEYS: 1 outbox, 2 drained
-- ARGV: 1 not_after (ms), 2 consumer, 3 id of the last entry drained, then the ids of the effects among them
-- Effect: the consumer goes on behind that entry. Entries that are not drained are never trimmed.
-- Returns: how many entries were trimmed.
-- Again: the cursor never goes back.
-- Memory full: runs, it makes room.
-- Volatile: entries drained twice do no harm.
local MAX_KEPT, TRIM_AT_ONCE = 1000, 256
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local function is_later(one, other)
  local ms, n = one:match('^(%d+)-(%d+)$')
  local other_ms, other_n = other:match('^(%d+)-(%d+)$')
  ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
  return ms > other_ms or (ms == other_ms and n > other_n)
end
local cursor = redis.call('HGET', KEYS[2], ARGV[2])
if not cursor or is_later(ARGV[3], cursor) then
  cursor = ARGV[3]
  redis.call('HSET', KEYS[2], ARGV[2], cursor)
end
if #ARGV > 3 then
  redis.call('XDEL', KEYS[1], unpack(ARGV, 4))
end
-- What is behind the cursor is all records; effects that wait in front of it take no record's place. They are counted
-- only once in a while, since that reads them.
local trimmed = 0
if redis.call('XLEN', KEYS[1]) >= MAX_KEPT + TRIM_AT_ONCE then
  local kept = redis.call('XRANGE', KEYS[1], '-', cursor, 'COUNT', MAX_KEPT + TRIM_AT_ONCE)
  for i = 1, #kept - MAX_KEPT do
    trimmed = trimmed + redis.call('XDEL', KEYS[1], kept[i][1])
  end
end
return trimmed
