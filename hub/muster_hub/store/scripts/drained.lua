#!lua flags=allow-oom
-- Records how far a bucket's outbox was drained, and makes room: effects go once they were carried out, of records the
-- newest MAX_RECORDS_KEPT stay, and up to RECORDS_TRIMMED_AT_ONCE more.
-- KEYS: 1 outbox, 2 drained
-- ARGV: 1 not_after (ms), 2 consumer, 3 id of the last entry drained, then the ids of the effects among them
-- Effect: the consumer continues behind that entry. Entries that are not drained are never trimmed.
-- Returns: how many entries were trimmed.
-- Again: the cursor never goes back.
-- Memory full: runs, it makes room.
-- Volatile: entries drained twice do no harm.
local outbox, drained = unpack(KEYS)
local _, consumer, last = unpack(ARGV, 1, 3)
local FIRST_EFFECT = 4

local function is_later(one, other)
  local ms, n = one:match('^(%d+)-(%d+)$')
  local other_ms, other_n = other:match('^(%d+)-(%d+)$')
  ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
  return ms > other_ms or (ms == other_ms and n > other_n)
end
local cursor = redis.call('HGET', drained, consumer)
if not cursor or is_later(last, cursor) then
  cursor = last
  redis.call('HSET', drained, consumer, cursor)
end
if #ARGV >= FIRST_EFFECT then
  redis.call('XDEL', outbox, unpack(ARGV, FIRST_EFFECT))
end
-- All entries behind the cursor are records; effects that wait in front of it take no record's place. Entries are
-- counted only when there are many, since counting reads them.
local trimmed, at_most = 0, MAX_RECORDS_KEPT + RECORDS_TRIMMED_AT_ONCE
if redis.call('XLEN', outbox) >= at_most then
  local kept = redis.call('XRANGE', outbox, '-', cursor, 'COUNT', at_most)
  for i = 1, #kept - MAX_RECORDS_KEPT do
    trimmed = trimmed + redis.call('XDEL', outbox, kept[i][1])
  end
end
return trimmed
