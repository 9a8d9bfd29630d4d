#!lua flags=no-writes
-- Reads a page of a device's own statements, lowest serial first; of one serial the card comes first.
-- KEYS: 1 device, 2 peers, 3 grants, 4 stated
-- ARGV: 1 how many to pass over, 2 how many at most
-- Effect: none. No statement is read that the page does not have.
-- Returns: {1 if there are more else 0, {kind, encoded Signed, ...}}.
-- Again: it only reads.
local device, peers, grants, stated = unpack(KEYS)
local after, limit = unpack(ARGV)
after, limit = tonumber(after), tonumber(limit)

-- `stated` has all but the card, whose place among them is counted.
local card_serial, card = unpack(redis.call('HMGET', device, 'card_serial', 'card'))
local card_place = card and redis.call('ZCOUNT', stated, '-inf', '(' .. card_serial) or math.huge
local first = card_place < after and after - 1 or after
local slots = redis.call('ZRANGE', stated, text(first), text(first + limit - 1))
if after <= card_place and card_place < after + limit then
  table.insert(slots, card_place - after + 1, 'card')
end

local page = {}
local function show(kind, signed)
  page[#page + 1] = kind
  page[#page + 1] = signed
end
for i = 1, math.min(limit, #slots) do
  local kept, peer = slots[i]:match('^(%a+):?(.*)$')
  if kept == 'card' then
    show('card', card)
  elseif kept == 'peers' then
    local row = row_in(peers, peer)
    show(row[PEER.kind], row[PEER.signed])
  else
    local row = row_in(grants, peer)
    show(row[GRANT.grant_id] == '' and 'untrust' or row[GRANT.kind], row[GRANT.signed])
  end
end
local total = redis.call('ZCARD', stated) + (card and 1 or 0)
return {total > after + limit and 1 or 0, page}
