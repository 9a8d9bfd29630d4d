#!lua flags=no-writes
-- Reads a device's own statements, lowest serial first.
-- KEYS: 1 device, 2 peers, 3 grants
-- ARGV: 1 the serial behind which to begin, 2 how many at most
-- Returns: {1 if there are more else 0, {kind, encoded Signed, ...}}.
-- Again: it only reads.
local after, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = {}

local function take(serial, kind, signed)
  if serial > after and signed ~= '' then
    found[#found + 1] = {serial, kind, signed}
  end
end

local card = redis.call('HMGET', KEYS[1], 'card_serial', 'card')
if card[2] then
  take(tonumber(card[1]), 'card', card[2])
end
for _, packed in ipairs(redis.call('HVALS', KEYS[2])) do
  local row = cmsgpack.unpack(packed)
  take(row[2], row[1], row[5])
end
for _, packed in ipairs(redis.call('HVALS', KEYS[3])) do
  local row = cmsgpack.unpack(packed)
  take(row[2], row[1], row[11])
end

table.sort(found, function(one, other) return one[1] < other[1] end)
local page = {}
for i = 1, math.min(limit, #found) do
  page[#page + 1] = found[i][2]
  page[#page + 1] = found[i][3]
end
return {#found > limit and 1 or 0, page}
