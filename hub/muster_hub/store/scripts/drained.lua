#!lua flags=allow-oom
-- Records how far a bucket's outbox was drained, and makes room: effects go once they were carried out, of records
-- MAX_RECORDS_KEPT stay, and up to RECORDS_TRIMMED_AT_ONCE more. Actors with fewer records than an equal share keep all
-- of them; of the others the oldest go.
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

-- Returns how many records each of these actors may keep, so that all together have no more than MAX_RECORDS_KEPT.
local function equal_share(counts)
  local sorted, left = {}, MAX_RECORDS_KEPT
  for _, count in pairs(counts) do
    sorted[#sorted + 1] = count
  end
  table.sort(sorted)
  for i, count in ipairs(sorted) do
    local share = math.floor(left / (#sorted - i + 1))
    if count > share then
      return share
    end
    left = left - count
  end
  return MAX_RECORDS_KEPT
end

-- Returns the actor of each record, or its subject where it has none, and how many records each actor has.
local function actors_of(records)
  local actors, counts = {}, {}
  for i, entry in ipairs(records) do
    for j = 1, #entry[2], 2 do
      if entry[2][j] == 'data' then
        local record = cmsgpack.unpack(entry[2][j + 1])
        actors[i] = record[RECORD.actor] ~= '' and record[RECORD.actor] or record[RECORD.subject]
      end
    end
    counts[actors[i]] = (counts[actors[i]] or 0) + 1
  end
  return actors, counts
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
  if #kept > MAX_RECORDS_KEPT then
    local actors, counts = actors_of(kept)
    local share = equal_share(counts)
    for i, entry in ipairs(kept) do
      if #kept - trimmed > MAX_RECORDS_KEPT and counts[actors[i]] > share then
        trimmed = trimmed + redis.call('XDEL', outbox, entry[1])
        counts[actors[i]] = counts[actors[i]] - 1
      end
    end
  end
end
return trimmed
