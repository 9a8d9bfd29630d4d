#!lua flags=no-writes
-- Reads a device's own statements, lowest serial first, and of one serial the lower hash first.
-- KEYS: 1 device, 2 peers, 3 grants
-- ARGV: 1 how many to pass over, 2 how many at most
-- Effect: none.
-- Returns: {1 if there are more else 0, {kind, encoded Signed, ...}}.
-- Again: it only reads.
local device, peers, grants = unpack(KEYS)
local after, limit = unpack(ARGV)
after, limit = tonumber(after), tonumber(limit)

local found = {}
local function take(serial, hash, kind, signed)
  if signed ~= '' then
    found[#found + 1] = {serial, hash, kind, signed}
  end
end

local card_serial, card_hash, card = unpack(redis.call('HMGET', device, 'card_serial', 'card_hash', 'card'))
if card then
  take(tonumber(card_serial), card_hash, 'card', card)
end
for _, packed in ipairs(redis.call('HVALS', peers)) do
  local row = cmsgpack.unpack(packed)
  take(row[PEER.serial], row[PEER.hash], row[PEER.kind], row[PEER.signed])
end
for _, packed in ipairs(redis.call('HVALS', grants)) do
  local row = cmsgpack.unpack(packed)
  take(row[GRANT.serial], row[GRANT.hash], row[GRANT.kind], row[GRANT.signed])
end

table.sort(found, function(one, other)
  if one[1] ~= other[1] then
    return one[1] < other[1]
  end
  return above(other[2], one[2])
end)
local page = {}
for i = after + 1, math.min(after + limit, #found) do
  page[#page + 1] = found[i][3]
  page[#page + 1] = found[i][4]
end
return {#found > after + limit and 1 or 0, page}
