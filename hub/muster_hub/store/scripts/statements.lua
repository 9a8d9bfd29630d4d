#!lua flags=no-writes
-- Reads a device's own statements, lowest serial first.
-- KEYS: 1 device, 2 peers, 3 grants
-- ARGV: 1 the serial behind which to begin, 2 how many at most
-- Effect: none.
-- Returns: {1 if there are more else 0, {kind, encoded Signed, ...}}.
-- Again: it only reads.
local device, peers, grants = unpack(KEYS)
local after, limit = unpack(ARGV)
after, limit = tonumber(after), tonumber(limit)

local found = {}
local function take(serial, kind, signed)
  if serial > after and signed ~= '' then
    found[#found + 1] = {serial, kind, signed}
  end
end

local card_serial, card = unpack(redis.call('HMGET', device, 'card_serial', 'card'))
if card then
  take(tonumber(card_serial), 'card', card)
end
for _, packed in ipairs(redis.call('HVALS', peers)) do
  local row = cmsgpack.unpack(packed)
  take(row[PEER.serial], row[PEER.kind], row[PEER.signed])
end
for _, packed in ipairs(redis.call('HVALS', grants)) do
  local row = cmsgpack.unpack(packed)
  take(row[GRANT.serial], row[GRANT.kind], row[GRANT.signed])
end

table.sort(found, function(one, other) return one[1] < other[1] end)
local page = {}
for i = 1, math.min(limit, #found) do
  page[#page + 1] = found[i][2]
  page[#page + 1] = found[i][3]
end
return {#found > limit and 1 or 0, page}
